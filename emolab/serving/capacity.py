"""How much work may be under way: above that, a request is refused at once instead of waiting in vain."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

#: Seconds within which a refused caller is asked back, at least and at most.
SOONEST, LATEST = 1, 60
#: Seconds of work after which its speed is known: less than several batches would say too little.
_KNOWN = 5.0


class Overloaded(Exception):
    """There is no room; ``retry_after`` is in how many whole seconds there may be."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"no room; try again in {retry_after} s")
        self.retry_after = retry_after


class Capacity:
    """Counts what is under way: at most ``images`` pictures and ``size`` bytes of bodies. Any thread may use it.

    Nor are pictures taken that could not be answered within ``seconds``, at the speed of late.
    """

    def __init__(
        self, *, images: int, size: int, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.images, self.size, self.seconds = images, size, seconds
        self.held_images = self.held_bytes = 0
        self._lock = threading.Lock()
        self._clock = clock
        self._rate = 0.0  # images answered per second in which there was work
        self._since, self._busy, self._answered = clock(), 0.0, 0

    def enter(self, *, images: int = 0, size: int = 0, own: int = 0) -> None:
        """Take room for a request that holds ``own`` images. Raises :class:`Overloaded` where there is too little."""
        with self._lock:
            if self.held_images + images > self.images or self.held_bytes + size > self.size:
                raise Overloaded(self._retry_after())
            # One request alone is always taken: its answer is what shows that the work goes quicker again.
            others = self.held_images - own
            if images and others and self.held_images + images > self._rate * self.seconds > 0:
                raise Overloaded(self._retry_after())
            if self.held_images == 0:
                self._since = self._clock()
            self.held_images += images
            self.held_bytes += size

    def leave(self, *, images: int = 0, size: int = 0, answered: bool = True) -> None:
        """Give room back; ``answered`` images say how quick the work goes."""
        with self._lock:
            now = self._clock()
            if self.held_images:
                self._busy += now - self._since
                self._since = now
            self.held_images -= images
            self.held_bytes -= size
            if answered:
                self._answered += images
            if self._busy >= _KNOWN and self._answered:
                rate = self._answered / self._busy
                self._rate = rate if self._rate == 0 else (self._rate + rate) / 2
                self._busy, self._answered = 0.0, 0

    def _retry_after(self) -> int:
        """When what is under way now should be done."""
        if self._rate == 0:
            return SOONEST
        return min(LATEST, max(SOONEST, math.ceil(self.held_images / self._rate)))
