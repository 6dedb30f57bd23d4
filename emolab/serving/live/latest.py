"""A queue of one: what is newest wins, what is older is dropped and counted, so no delay can grow."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Hands the newest thing from one thread to another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: list[T] = []
        self._closed = False
        self._dropped = 0

    def put(self, thing: T) -> int:
        """Offer ``thing`` in the place of one that nobody took; how many were dropped until now.

        After :meth:`close` it is dropped itself.
        """
        with self._changed:
            if self._closed:
                self._dropped += 1
            else:
                self._dropped += len(self._held)
                self._held = [thing]
                self._changed.notify()
            return self._dropped

    def get(self, timeout: float | None = None) -> T | None:
        """Take what is there, or wait for it; ``None`` once it is closed and empty, or after ``timeout`` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._held:
                left = None if end is None else end - time.monotonic()
                if self._closed or (left is not None and left <= 0):
                    return None
                self._changed.wait(left)
            return self._held.pop()

    def close(self) -> None:
        """No more will come; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def dropped(self) -> int:
        """How many things nobody took in time."""
        with self._changed:
            return self._dropped

    @property
    def closed(self) -> bool:
        """Whether no more will come."""
        with self._changed:
            return self._closed
