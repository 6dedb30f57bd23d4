"""An open dataset whose samples have one or several labels each, as a fixed set to judge models on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.benchmark_set import HELD_OUT
from emolab.datasets.readers.reader import Reader, ReaderOptions, as_reader, label_text
from emolab.datasets.readers.source import Damaged
from emolab.errors import DataError, UnknownName
from emolab.plugins import READERS
from emolab.records import SPLITS, Record
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class SeveralLabels:
    """n samples: ``media`` (n) bytes or paths, ``names`` (n) the dataset's own, ``truth`` (n, k) which classes apply.

    ``protocol`` says in words what was kept, ``dropped`` counts samples by the reason they were not; ``splits`` are
    those that are judged (empty: the set has none).
    """

    names: list[str]
    media: list[bytes | Path]
    truth: NDArray[np.bool_]
    protocol: str
    dropped: Mapping[str, int]
    splits: tuple[str, ...]


def several_labels(
    spec: str, classes: Sequence[str], *, split: str | None = None, options: ReaderOptions | None = None
) -> SeveralLabels:
    """The samples of ``spec`` = ``READER:PATH``, every label with half as many votes as the leading one applying.

    Of several sets of labels the one is read that shares most names with ``classes``. Labels that are no class are
    left out; samples without any other are dropped and counted. Default split: the most held-out one.
    Raises :class:`UnknownName` for a reader or split, :class:`DataError` when nothing is kept.
    """
    name, _, where = spec.partition(":")
    reader, path = as_reader(READERS.load(name)), Path(where).expanduser()
    if split is not None and split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    chosen = {**fitting(reader, path, classes), **(options or {})}
    kept: dict[str | None, list[tuple[Record, NDArray[np.bool_]]]] = {}
    dropped: dict[str | None, Counter[str]] = {}
    for record in reader(path, chosen):
        rows, gone = kept.setdefault(record.split, []), dropped.setdefault(record.split, Counter())
        found = _truth(record, classes)
        if isinstance(found, str):
            gone[found] += 1
        else:
            rows.append((record, found))
    part = _split(kept, split, spec)
    if not kept[part]:
        raise DataError(f"None of the {sum(dropped[part].values()):,} samples of {spec} has a class of the model.")
    told = f", labels {chosen['labels']}" if "labels" in chosen else ""
    return SeveralLabels(
        names=[record.key for record, _ in kept[part]],
        media=[record.media for record, _ in kept[part]],
        truth=np.stack([row for _, row in kept[part]]),
        protocol=f"every label with at least half the votes of the leading one{told}; {part or 'whole set'}; "
        f"n = {len(kept[part]):,} kept" + "".join(f", {n:,} {reason}" for reason, n in dropped[part].most_common()),
        dropped=dict(dropped[part]),
        splits=() if part is None else (part,),
    )


def fitting(reader: Reader, path: Path, classes: Sequence[str]) -> dict[str, str]:
    """The option that reads the set of labels nearest to ``classes``; none where the dataset has one set only."""
    if reader.label_sets is None:
        return {}
    sets = reader.label_sets(path)
    return {"labels": max(sets, key=lambda name: _likeness(sets[name], classes))} if sets else {}


def _likeness(labels: Sequence[str], classes: Sequence[str]) -> float:
    found = {resolve(label, classes) for label in labels} - {None}
    return len(found) / len({*labels} | {*classes}) if labels else 0.0


def _truth(record: Record, classes: Sequence[str]) -> NDArray[np.bool_] | str:
    """Which classes apply, or why the sample is dropped."""
    if isinstance(record.media, Damaged):
        return "unreadable"
    votes = np.zeros(len(classes))
    for label, count in record.votes.items():
        found = resolve(label_text(label), classes)
        if found is not None and found not in META:
            votes[list(classes).index(found)] += count
    most = max(record.votes.values(), default=0)
    applies: NDArray[np.bool_] = (votes > 0) & (votes >= most / 2)
    return applies if applies.any() else "without a class of the model"


def _split(kept: Mapping[str | None, object], split: str | None, spec: str) -> str | None:
    if not kept:
        raise DataError(f"{spec} holds no samples.")
    if split is None:
        return next((part for part in HELD_OUT if part in kept), None)
    if split not in kept:
        raise DataError(f"{spec} has no {split} split.", hint=f"It has: {', '.join(part or 'none' for part in kept)}.")
    return split
