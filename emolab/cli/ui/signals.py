"""SIGTERM ends a long command as Ctrl-C does: what it started is stopped, what it wrote is kept."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

#: Seconds after which an interrupt that was lost is sent again, when what threw it away has returned.
_AGAIN = 0.05


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM raise :class:`KeyboardInterrupt` inside the block, so that everything is cleaned up on the way out.

    A second one while that goes on changes nothing: ``kill`` and ``timeout`` must not cut the cleaning short. One that
    comes while a destructor or a callback of the garbage collector runs is sent again: Python throws away what these
    raise, Ctrl-C included.
    """
    asked = False
    again: threading.Timer | None = None

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    def thrown_away(what: UnraisableHookArgs) -> None:
        nonlocal asked, again
        if not isinstance(what.exc_value, KeyboardInterrupt):
            hook(what)
            return
        asked = False
        again = threading.Timer(_AGAIN, os.kill, (os.getpid(), signal.SIGTERM))
        again.start()

    before, hook = signal.signal(signal.SIGTERM, ask), sys.unraisablehook
    sys.unraisablehook = thrown_away
    try:
        yield
    finally:
        if again is not None:
            again.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)
