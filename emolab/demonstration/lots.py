"""Work on many items in several processes, in order, a lot of them at a time; how many processes changes no result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
#: Items that a process gets at a time, and how many such lots wait for each process.
_LOT, _AHEAD = 16, 3


def in_lots(work: Callable[[Item], bytes], items: Iterable[Item], *, jobs: int = 1) -> Iterator[bytes]:
    """What ``work``, a function of a module, makes of each item, in order; ``jobs`` above 1 are so many processes."""
    waiting = iter(items)
    if jobs <= 1:
        yield from map(work, waiting)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        lots: deque[Future[list[bytes]]] = deque()
        while True:
            while len(lots) < _AHEAD * jobs and (lot := list(islice(waiting, _LOT))):
                lots.append(pool.submit(_lot, work, lot))
            if not lots:
                return
            yield from lots.popleft().result()


def _lot(work: Callable[[Item], bytes], lot: list[Item]) -> list[bytes]:
    return [work(each) for each in lot]
