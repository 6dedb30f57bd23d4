"""What the application serves, without a framework: the models at work, who may ask, how much, and what is kept."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, kw_only=True)
class WatchFigures:
    """What the monitor knows of the model that answers, by its newest look.

    ``looked`` is when that was (seconds since 1970), ``answers`` how many it was about, ``level`` what it could spend.
    ``alarms`` is kind -> how many hold, ``drift`` detector -> (smallest p, whether it raised an alarm), ``classes`` the
    share of each class. ``estimate`` and ``audit`` are accuracies with the ends of their 95 % interval. ``unreadable``:
    the looks are damaged, and the rest is empty. ``owed`` is channel -> alarms that it could not tell yet.
    """

    looked: float | None = None
    answers: int = 0
    level: float | None = None
    alarms: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[str, tuple[float, bool]] = field(default_factory=dict)
    classes: Mapping[str, float] = field(default_factory=dict)
    estimate: tuple[float, float, float] | None = None
    audit: tuple[float, float, float] | None = None
    unreadable: bool = False
    owed: Mapping[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Service:
    """Everything that the routes share.

    ``demand_keys``: nobody is answered without a key, but for whether the server lives. ``ready``: the model is warm
    and the server does not stop. ``reload`` looks at once which model is the champion; ``on_close`` is called when no
    request is under way any more. ``watched`` says what the monitor knows of a model (id), and may read files, so no
    answer waits for it; ``unlogged`` how many answers the log of what is served lacks, ``None`` where there is no log.
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
    watched: Callable[[str], WatchFigures] = lambda _: WatchFigures()
    unlogged: Callable[[], int] | None = None
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
