"""SIGTERM ends a long command as Ctrl-C does: what it started is stopped, what it wrote is kept."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM raise :class:`KeyboardInterrupt` inside the block, so that everything is cleaned up on the way out.

    A second one while that goes on changes nothing: ``kill`` and ``timeout`` must not cut the cleaning short.
    """
    asked = False

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
