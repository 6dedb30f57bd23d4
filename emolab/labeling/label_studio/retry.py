"""Waiting out a server that restarts or a proxy that hiccups; only for requests that may be repeated."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from emolab.errors import ServerError
from emolab.progress import SILENT, Progress

T = TypeVar("T")

#: Seconds that a push or pull waits for a server that does not answer before it gives up.
PATIENCE = 90.0
#: The same for a server that answers with an error of its own (500).
STUMBLE = 20.0
#: Seconds within which a request that was cut off may still be carried out by the server.
SETTLE = 4.0
#: The same in multiples of what a small question takes at that moment, for a server under load.
SLOWER = 40.0
#: How often an answer with status 200 that cannot be true, or is of no known shape, is asked for.
ODD_ANSWERS = 3
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 3.0
_listener: ContextVar[Progress] = ContextVar("listener", default=SILENT)


@contextlib.contextmanager
def told_to(progress: Progress) -> Iterator[None]:
    """Within the block, ``progress`` is told of every wait: what is awaited, and for how long at most."""
    before = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(before)


def patiently(action: Callable[[], T], *, patience: float = PATIENCE, progress: Progress = SILENT) -> T:
    """What ``action`` returns, repeated while the server fails in a way that may pass.

    Raises the last :class:`ServerError` after ``patience`` seconds, and any other at once.
    """
    start = time.monotonic()
    end = start + patience
    pause = _FIRST_PAUSE
    told = False
    odd = 0
    while True:
        try:
            return action()
        except ServerError as error:
            if error.status == 500:  # the server itself stumbled: that seldom passes
                end = min(end, start + STUMBLE)
            odd += error.status is not None and error.status < 300
            if not (error.retryable or error.outcome_unknown) or time.monotonic() + pause > end or odd == ODD_ANSWERS:
                raise
            if not told and pause > 1:
                listener = _listener.get() if progress is SILENT else progress
                listener.note(f"{error.message} Waiting for it, up to {end - start:.0f} s.")
                told = True
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
