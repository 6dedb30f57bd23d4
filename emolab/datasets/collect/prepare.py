"""Inputs become samples: cut, store, measure. What a worker thread does, for a few items at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.datasets.collect.items import Item, Outcome
from emolab.datasets.collect.media_store import MediaStore
from emolab.modalities.intake import IngestOptions, Piece, open_intake
from emolab.modalities.problems import Problem, Refused, shown
from emolab.records import Sample

if TYPE_CHECKING:
    from emolab.modalities.intake import Measured

#: What is said of an input that was forgotten here; not its name, which was forgotten too.
FORGOTTEN = Problem("(an input)", "forgotten", "it was forgotten in this workspace, so it is left out", taken=True)


@dataclass(frozen=True, slots=True)
class Work:
    """The outcomes of some items in their order, and the error of the store that ended it early, if one did.

    ``seconds`` is the processor time it took.
    """

    outcomes: list[Outcome]
    seconds: float = 0.0
    error: OSError | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A stored piece on its way to a sample: what is left to do is to measure it."""

    media: str
    piece: Piece


class Preparer:
    """Turns items into samples and media files; one for all threads."""

    def __init__(
        self, options: IngestOptions, store: MediaStore | None, *, forgotten: Callable[[str], bool] = lambda _id: False
    ) -> None:
        """``forgotten`` says of an id whether it is to be left out, before anything of it is stored."""
        self._forgotten = forgotten
        self._intake = open_intake(options)
        self._modality = options.modality
        self._store = store

    def __call__(self, items: Sequence[Item]) -> Work:
        """What became of ``items``; a bad input is a problem in its outcome, a full disk the end of the work.

        All pieces are measured together at the end: of each no more is held until then than that needs.
        """
        began = time.thread_time()
        opened: list[tuple[Item, list[_Kept], list[Problem]]] = []
        error: OSError | None = None
        try:
            for item in items:
                notes: list[Problem] = []
                opened.append((item, list(self._store_one(item, notes)), notes))
        except OSError as raised:
            error = raised
        kept = [each.piece for _, pieces, _ in opened for each in pieces]
        verdicts = iter(self._intake.measured(kept))
        outcomes = []
        for item, pieces, notes in opened:
            judged = [next(verdicts) for _ in pieces]
            samples = tuple(self._sample(item, each, verdict) for each, verdict in zip(pieces, judged, strict=True))
            looks = tuple(verdict.look for verdict in judged)
            done = item if isinstance(item.data, Path) else replace(item, data=b"")  # batches of outcomes stay small
            outcomes.append(Outcome(done, tuple(sample.id for sample in samples), samples, tuple(notes), looks))
        return Work(outcomes, time.thread_time() - began, error)

    def _store_one(self, item: Item, notes: list[Problem]) -> Iterator[_Kept]:
        try:
            data = item.data() if callable(item.data) else item.data
            pieces = self._intake.pieces(data, item.name, notes)
            for piece in pieces if item.only is None else islice(pieces, item.only - 1, item.only):
                if self._forgotten(piece.digest):
                    notes.append(FORGOTTEN)
                    continue
                yield _Kept(self._put(piece), replace(piece, data=_stored))
        except Refused as refused:
            notes.append(refused.at(item.name))
            return
        if isinstance(item.data, Path) and not (path := str(item.data)).isascii() and shown(path) != path:
            notes.append(Problem(item.name, "name", "the file name is not UTF-8; kept as shown here", taken=True))

    def _put(self, piece: Piece) -> str:
        return "" if self._store is None else self._store.put(piece.data(), piece.digest, piece.suffix)

    def _sample(self, item: Item, kept: _Kept, verdict: Measured) -> Sample:
        piece = kept.piece
        return Sample(
            id=piece.digest,
            media=kept.media,
            modality=self._modality,
            source=item.source,
            group=item.group or piece.group or (item.recording if piece.part else None),
            consent=item.consent,
            licence=item.licence,
            split=item.split,
            quality=verdict.quality,
            name=f"{item.name}{piece.name}",
            phash=verdict.phash,
            **piece.fields,
        )


def _stored() -> bytes:
    raise AssertionError("a piece is stored once")
