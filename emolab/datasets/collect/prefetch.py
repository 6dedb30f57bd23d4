"""Working ahead of the catalog: a stream of items becomes a stream of outcomes, in the same order, by many threads.

What the ledger knows is passed on unread; everything else goes to the pool in small hand-overs. No more than a fixed
number of items and bytes is under way at a time, however long the stream is.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from emolab.datasets.collect.items import Item, Outcome
from emolab.datasets.collect.prepare import Work
from emolab.modalities.intake import Excerpt
from emolab.modalities.problems import Problem

#: How far the input is read ahead of the catalog: items, and bytes held in them.
AHEAD_ITEMS = 512
AHEAD_BYTES = 128 << 20

#: A slow source, such as a camera, hands over what it has after this time.
WINDOW_SECONDS = 1.0

#: Items that a thread takes at a time: a few, so that all threads end together; more of the quick ones (seconds of
#: processor time each), for which handing over costs as much as the work.
CHUNK = 8
QUICK_CHUNK = 32
QUICK = 0.0004

#: What a model that writes down a part of a recording makes of it, in sizes of the part. A thread takes one at a time:
#: it costs a second or more, and whoever stops waits for those under way.
HEARD = 32

#: What a thread does with some items.
Prepare = Callable[[Sequence[Item]], Work]

#: For each stamp, the ids of the samples it became in an earlier run, or ``None``.
Known = Callable[[Sequence[str | None]], list[tuple[str, ...] | None]]


@dataclass(frozen=True, slots=True)
class Whole:
    """An input that yields several items and must be read to know them, such as a video.

    ``entries`` is only read when no earlier run got through all of the input called ``stamp``.
    """

    name: str
    stamp: str
    entries: Iterable[Item | Problem]


#: What a stream may hold.
Entry = Item | Problem | Whole


@dataclass(frozen=True, slots=True)
class End:
    """In the stream of results: what was taken since the last end is all of the input called ``stamp``."""

    stamp: str


_Flat = Item | Problem | Outcome | End
Result = Outcome | Problem | End


@dataclass(slots=True)
class _Pace:
    """How many items the next hand-over holds, going by the last one that came back."""

    chunk: int = CHUNK


@dataclass(frozen=True, slots=True)
class _Step:
    """Results that are there or on their way, with the items and bytes they hold until they are taken."""

    results: list[Result] | Future[Work]
    items: int
    held: int = 0

    @property
    def done(self) -> bool:
        return not isinstance(self.results, Future) or self.results.done()

    def take(self, pace: _Pace) -> Iterator[Result]:
        if not isinstance(self.results, Future):
            yield from self.results
            return
        work = self.results.result()
        pace.chunk = QUICK_CHUNK if work.seconds < QUICK * self.items else CHUNK
        yield from work.outcomes
        if work.error is not None:
            raise work.error


def outcomes(
    items: Iterable[Entry],
    *,
    known: Known,
    prepare: Prepare,
    pool: ThreadPoolExecutor,
) -> Iterator[Result]:
    """What became of ``items``, in their order: ``prepare`` runs in ``pool``, except for what is ``known``."""
    waiting: deque[_Step] = deque()
    pace = _Pace()
    ahead_items = ahead_bytes = 0
    for window in _windows(_flat(items, known)):
        for step in _submit(window, known, prepare, pool, pace):
            waiting.append(step)
            ahead_items, ahead_bytes = ahead_items + step.items, ahead_bytes + step.held
        while waiting and (waiting[0].done or ahead_items > AHEAD_ITEMS or ahead_bytes > AHEAD_BYTES):
            step = waiting.popleft()
            ahead_items, ahead_bytes = ahead_items - step.items, ahead_bytes - step.held
            yield from step.take(pace)
    while waiting:
        yield from waiting.popleft().take(pace)


def _flat(items: Iterable[Entry], known: Known) -> Iterator[_Flat]:
    """``items`` with every :class:`Whole` replaced by its entries, or by its outcome where that is known."""
    for entry in items:
        if not isinstance(entry, Whole):
            yield entry
            continue
        (ids,) = known([entry.stamp])
        if ids is not None:
            yield Outcome(Item(data=b"", name=entry.name), ids)
            continue
        complete = True
        for part in entry.entries:
            complete = complete and (isinstance(part, Item) or part.taken)
            yield part
        yield End(entry.stamp if complete else "")


def _windows(items: Iterable[_Flat]) -> Iterator[list[_Flat]]:
    """``items`` in pieces small enough to be held, large enough to look up in one go, and never old."""
    window: list[_Flat] = []
    held, began = 0, time.monotonic()
    for entry in items:
        window.append(entry)
        held += _held(entry)
        late = time.monotonic() - began > WINDOW_SECONDS
        if late or len(window) >= AHEAD_ITEMS // 4 or held > AHEAD_BYTES // 4:
            yield window
            window, held, began = [], 0, time.monotonic()
    if window:
        yield window


def _submit(
    window: Sequence[_Flat], known: Known, prepare: Prepare, pool: ThreadPoolExecutor, pace: _Pace
) -> Iterator[_Step]:
    """``window`` in order: runs of unknown items go to the pool, everything else is its own result."""
    found = iter(known([stamp(entry) for entry in window if isinstance(entry, Item)]))
    todo: list[Item] = []
    for entry in window:
        ids = next(found) if isinstance(entry, Item) else None
        if isinstance(entry, Item) and ids is None:
            todo.append(entry)
            if len(todo) >= pace.chunk or isinstance(entry.data, Excerpt):
                yield _hand_over(todo, prepare, pool)
                todo = []
            continue
        if todo:
            yield _hand_over(todo, prepare, pool)
            todo = []
        yield _Step([Outcome(entry, ids or ()) if isinstance(entry, Item) else entry], 1)
    if todo:
        yield _hand_over(todo, prepare, pool)


def _hand_over(items: list[Item], prepare: Prepare, pool: ThreadPoolExecutor) -> _Step:
    return _Step(pool.submit(prepare, items), len(items), sum(_held(item) for item in items))


def _held(entry: _Flat) -> int:
    if not isinstance(entry, Item) or isinstance(entry.data, Path) or callable(entry.data):
        return 0
    if isinstance(entry.data, Excerpt):
        return HEARD * entry.data.samples.nbytes
    return len(entry.data) if isinstance(entry.data, bytes) else 3 * entry.data.width * entry.data.height


def stamp(item: Item) -> str | None:
    """What identifies the state of an input without reading it; ``None`` when only reading would tell."""
    if item.stamp is not None or not isinstance(item.data, Path):
        return item.stamp
    try:
        status = item.data.stat()
    except OSError:
        return None  # reading it will say why
    return f"{os.path.abspath(item.data)}|{status.st_size}|{status.st_mtime_ns}"  # noqa: PTH100 - no disk access
