"""Work that must not hold frames up, done by a thread beside them."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class SideThread(ABC, Generic[T]):
    """Does its :meth:`work` in a thread with what it is given; a context manager.

    At most ``waiting`` things wait. The first error ends the work and is raised on leaving; what comes later is thrown
    away, so that neither giving nor leaving ever waits for work that nobody does.
    """

    def __init__(self, name: str, *, waiting: int) -> None:
        self._waiting: queue.Queue[T | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        self.close()
        if self._failure is not None:
            raise self._failure

    @property
    def failed(self) -> bool:
        """Whether nothing is done any more; leaving the context raises why."""
        return self._failure is not None

    def give(self, thing: T, *, wait: bool = False) -> bool:
        """Whether ``thing`` was taken: not where too many wait, unless it may ``wait`` for a place."""
        try:
            self._waiting.put(thing, block=wait)
        except queue.Full:
            return False
        return True

    def taken(self, seconds: float | None = None) -> T | None:
        """The next thing; ``None`` at the end. Raises :class:`queue.Empty` where none comes for that many seconds."""
        return self._waiting.get(timeout=seconds)

    @abstractmethod
    def work(self) -> None:
        """Take things until there is no more."""

    def close(self) -> None:
        """Let go of files, after the last thing."""

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self._failure = error
            while self._waiting.get() is not None:
                pass
