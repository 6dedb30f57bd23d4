"""Short pauses of the interpreter, for work in which every millisecond is somebody's wait."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a thread gives the interpreter to another one that waits for it [Python: 0.005].
_TURN = 0.001


@contextmanager
def short_pauses() -> Iterator[None]:
    """While the context lasts, no thread waits long for another, nor for the garbage collector.

    A full collection goes through everything that was ever imported, while no thread runs: tens of milliseconds. What
    is there at the beginning stays for the whole time, so it is left out of every search until the end.
    """
    before = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.unfreeze()
