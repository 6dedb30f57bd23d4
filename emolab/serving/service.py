"""What the application serves, without a framework: the models at work, who may ask, how much, and what is kept."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from emolab.config import ServeConfig
from emolab.serving.audit import AuditLog
from emolab.serving.capacity import Capacity
from emolab.serving.keys import KeyFile
from emolab.serving.model_host import ModelHost
from emolab.serving.shadow import Shadow

#: Bodies that may be held at once, as a multiple of the largest one: what bounds the memory of uploads.
BODIES = 16
#: Callers whose rate is remembered.
CALLERS = 10_000


class RateLimit:
    """A token bucket for each caller: ``rate`` requests per second, with bursts of twice as many; 0: no limit."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, max(1.0, 2 * rate)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """0 when ``caller`` may go on, which takes a token; else the seconds until it may."""
        if not self.rate:
            return 0.0
        now = self._clock()
        tokens, since = self._buckets.pop(caller, (self.burst, now))
        tokens = min(self.burst, tokens + (now - since) * self.rate)
        missing = 1.0 - tokens
        self._buckets[caller] = (tokens if missing > 0 else tokens - 1.0, now)
        while len(self._buckets) > CALLERS:
            self._buckets.popitem(last=False)
        return max(0.0, missing / self.rate)


@dataclass(kw_only=True)
class Service:
    """Everything that the routes share.

    ``demand_keys``: nobody is answered without a key, but for whether the server lives. ``ready``: the model is warm
    and the server does not stop. ``reload`` looks at once which model is the champion; ``on_close`` is called when no
    request is under way any more.
    """

    host: ModelHost
    config: ServeConfig
    keys: KeyFile | None
    audit: AuditLog
    demand_keys: bool = True
    ready: bool = True
    shadow: Shadow | None = None
    reload: Callable[[], None] = lambda: None
    on_close: Callable[[], None] = lambda: None
    capacity: Capacity = field(init=False)
    rate: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        settings = self.config
        self.capacity = Capacity(images=settings.queue, size=BODIES * settings.max_bytes, seconds=settings.timeout)
        self.rate = RateLimit(self.config.rate)
        if self.shadow is not None:
            self.host.listen(self.shadow)

    def close(self) -> None:
        """Answer what is under way, then stop."""
        self.ready = False
        self.host.close()
        if self.shadow is not None:
            self.shadow.close()
        self.on_close()
        self.audit.close()


def is_loopback(host: str) -> bool:
    """Whether ``host`` can only be reached from this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
