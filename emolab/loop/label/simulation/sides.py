"""Who is asked and who judges in a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets import benchmark_set, voted_dataset
from emolab.datasets.benchmark_set import HELD_OUT, EvaluationSet
from emolab.datasets.splits import speakers
from emolab.datasets.voted_dataset import Crowd
from emolab.errors import DataError
from emolab.modalities.modality import recognised
from emolab.words import many

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Where no split is held out, this share of the units (near copies and groups stay together) judges.
JUDGE = 0.25


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Who is asked and who judges: rows ``asked`` of ``pool``, rows ``judges`` of ``judge``.

    ``excluded`` and ``duplicate`` are of the rows ``asked``, as in :class:`CampaignData`; ``divided`` speakers are on
    both sides.
    """

    pool: Crowd
    asked: NDArray[np.int64]
    excluded: NDArray[np.bool_]
    duplicate: NDArray[np.int64]
    judge: EvaluationSet
    judges: NDArray[np.int64]
    divided: int = 0

    @property
    def protocol(self) -> str:
        """What judges, in words."""
        part = (
            "" if len(self.judges) == self.judge.n else f"; of these the {len(self.judges):,} that are not asked about"
        )
        leak = f"; {many(self.divided, 'speaker')} asked about also judge: a speaker leak" if self.divided else ""
        return f"{self.judge.spec}: {self.judge.protocol}{part}{leak}"


def divide(
    spec: str,
    judge: str | None,
    classes: Sequence[str],
    *,
    options: Mapping[str, str] | None = None,
    allow_speaker_leak: bool = False,
    seed: int = 0,
) -> Sides:
    """The pool of ``spec`` and what judges it: ``judge``, else the split held out furthest, else a quarter.

    Images that are near copies of a judged one are never asked about. ``options`` are those of the reader of ``spec``,
    and of ``judge`` where it has the same reader. Raises :class:`DataError` where too little is left on a side, and
    where a speaker would be on both, which ``allow_speaker_leak`` lets be.
    """
    everybody = voted_dataset.read(spec, classes, options=options, allow_speaker_leak=allow_speaker_leak)
    parts = {split for split in everybody.splits if split}
    train = np.array([split in (None, "train") for split in everybody.splits])
    if judge or (train.any() and parts & {"valid", "test"}):
        asked = np.flatnonzero(train)
        if not len(asked):
            raise DataError(f"{spec} has no images of the split train to ask about.", hint=f"It has: {sorted(parts)}.")
        shared = judge is None or judge.partition(":")[0] == spec.partition(":")[0]
        held = benchmark_set.evaluation_set(judge or spec, classes, options=options if shared else None)
        judges = np.arange(held.n)
        both = _on_both(everybody, asked, held) if shared else []
        if not allow_speaker_leak:
            speakers.refuse(both, f"{spec} and its judge", f"Give clips of other speakers, or add {speakers.FLAG}.")
        return sides_of(everybody, asked, held, judges, divided=len(both))
    held = benchmark_set.evaluation_set(
        spec, classes, split=next((s for s in HELD_OUT if s in parts), None), options=options
    )
    asked, judges = _carve(everybody, held, seed)
    return sides_of(everybody, asked, held, judges)


def _on_both(everybody: Crowd, asked: NDArray[np.int64], held: EvaluationSet) -> list[str]:
    """The groups of rows ``asked`` that judge as well, where a group is a speaker."""
    if not recognised(everybody.media).speakers:
        return []
    return sorted({group for row in asked.tolist() if (group := everybody.groups[row])} & {*filter(None, held.groups)})


def sides_of(
    everybody: Crowd, asked: NDArray[np.int64], held: EvaluationSet, judges: NDArray[np.int64], *, divided: int = 0
) -> Sides:
    """Rows ``asked`` of ``everybody`` and what judges them; near copies of a judged image are excluded."""
    media = [*(everybody.media[row] for row in asked), *(held.media[row] for row in judges)]
    unit = voted_dataset.units(media)
    mine, theirs = unit[: len(asked)], unit[len(asked) :]
    _, first, which = np.unique(mine, return_index=True, return_inverse=True)
    return Sides(
        pool=everybody,
        asked=asked,
        excluded=np.isin(mine, theirs),
        duplicate=first[which],
        judge=held,
        judges=judges,
        divided=divided,
    )


def _carve(everybody: Crowd, held: EvaluationSet, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ``everybody`` to ask about and of ``held`` that judge; groups and near copies on one side."""
    unit = [
        group or f"unit {number}"
        for group, number in zip(everybody.groups, voted_dataset.units(everybody.media), strict=True)
    ]
    _, number = np.unique(unit, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(number.max()) + 1)
    chosen = np.isin(number, order[: round(JUDGE * len(order))])
    names = {everybody.ids[row] for row in np.flatnonzero(chosen).tolist()}
    judges = np.array(
        [row for row, item in enumerate(held.media) if voted_dataset.digest(item) in names], dtype=np.int64
    )
    asked = np.flatnonzero(~chosen)
    if not len(judges) or not len(asked):
        raise DataError(
            f"{everybody.spec} is too small to hold a quarter of it back as judge ({len(unit)} images).",
            hint="Name a data set that judges: --judge READER:PATH",
        )
    return asked, judges
