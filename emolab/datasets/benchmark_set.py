"""An open dataset as a fixed set to judge models on, by its published protocol. Nothing enters the catalog.

A number without its protocol says nothing: how many images were kept, by which rule, from which table. So the set
carries that text, and two models are compared on the same set only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.merge.label_map import DROP, LabelMap, Target, plan
from emolab.datasets.readers import ferplus_protocols
from emolab.datasets.readers.reader import ReaderOptions, as_reader
from emolab.datasets.readers.source import Damaged
from emolab.errors import DataError, UnknownName
from emolab.plugins import READERS
from emolab.records import SPLITS, Record
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Protocol -> what it keeps and judges by, in words. The first one of a reader is its default.
PROTOCOLS = {
    "majority": "FER+ majority: single votes zeroed, winner needs more than half of the rest, unknown and NF dropped",
    "crossentropy": "FER+ crossentropy: the distribution of up to three leading emotions, unknown and NF dropped",
    "probability": "FER+ probability: images and distributions as crossentropy, judged by the likeliest emotion",
    "plurality": "the label with the most votes; ties and meta labels dropped",
}

#: Which splits a dataset is judged on when several are there: the one that was held out furthest.
HELD_OUT = ("test", "valid", "train")


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """n images with targets by name. ``media`` (n) are bytes or paths, ``names`` (n) the dataset's own names.

    ``targets`` (n,) indexes ``classes``; ``distributions`` (n, k) float32, rows sum to 1: the protocol's distribution
    where it has one, else all votes for emotions; ``votes`` (n, k) int32 the people behind each class;
    ``supported`` (k,) which classes the dataset can show. ``protocol`` says in words what was kept, ``dropped``
    counts images by the reason they were not; ``splits`` are the splits that were judged (empty: the set has none).
    ``groups`` (n) are the dataset's own (empty: not known).
    """

    spec: str
    classes: tuple[str, ...]
    names: list[str]
    media: list[bytes | Path]
    targets: NDArray[np.int16]
    distributions: NDArray[np.float32]
    votes: NDArray[np.int32]
    supported: NDArray[np.bool_]
    protocol: str
    dropped: Mapping[str, int]
    splits: tuple[str, ...]
    groups: Sequence[str | None] = ()

    @property
    def n(self) -> int:
        """How many images are judged."""
        return len(self.names)


def is_spec(text: str) -> bool:
    """Whether ``text`` looks like ``READER:PATH`` with a known reader."""
    name, colon, _ = text.partition(":")
    return bool(colon) and name in READERS.names()


def evaluation_set(
    spec: str,
    classes: Sequence[str],
    *,
    protocol: str | None = None,
    split: str | None = None,
    options: ReaderOptions | None = None,
    rules: Mapping[str, Target] | None = None,
) -> EvaluationSet:
    """The images of ``spec`` = ``READER:PATH`` that ``protocol`` keeps, with targets in ``classes`` (the model's).

    Default protocol: ``majority`` for FER+, ``plurality`` otherwise. Default split: the most held-out one that the
    dataset has. Labels that are no class of the model are dropped and counted; ``rules`` as for merging.
    Raises :class:`UnknownName` for a reader or protocol, :class:`DataError` when nothing is kept.
    """
    name, _, where = spec.partition(":")
    reader, path, options = as_reader(READERS.load(name)), Path(where).expanduser(), options or {}
    chosen = _protocol(name, protocol)
    if split is not None and split not in SPLITS:
        raise UnknownName("split", split, SPLITS)

    labels = _outside_dropped(reader.survey(path, options).labels, classes, rules or {})
    found = _SplitRows()
    for record in reader(path, options):
        found.add(record, _judge(record, chosen, labels, classes))

    judged = _splits(found.kept, split, spec)
    rows = [row for part in judged for row in found.kept[part]]
    gone = sum((found.dropped[part] for part in judged), Counter[str]())
    if not rows:
        raise DataError(f'Protocol "{chosen}" keeps none of the {sum(gone.values()):,} images of {spec}.')
    read_from = sum((found.notes[part] for part in judged), Counter[str]())
    votes = np.stack([row.votes for row in rows])
    return EvaluationSet(
        spec=spec,
        classes=tuple(classes),
        names=[row.record.key for row in rows],
        media=[row.record.media for row in rows],
        targets=np.array([row.target for row in rows], dtype=np.int16),
        distributions=np.stack([row.distribution for row in rows]),
        votes=votes,
        supported=_supported(reader.supported, labels, classes),
        protocol=_words(chosen, judged, len(rows), gone, read_from),
        dropped=dict(gone),
        splits=tuple(part for part in judged if part),
        groups=[row.record.group for row in rows],
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    record: Record
    target: int
    distribution: NDArray[np.float32]
    votes: NDArray[np.int32]


class _SplitRows:
    """What was read of each split: the rows ``kept``, why others were ``dropped``, and ``notes`` of the reader."""

    def __init__(self) -> None:
        self.kept: dict[str | None, list[_Kept]] = {}
        self.dropped: dict[str | None, Counter[str]] = defaultdict(Counter)
        self.notes: dict[str | None, Counter[str]] = defaultdict(Counter)

    def add(self, record: Record, verdict: _Kept | str) -> None:
        """Take in one record: a row, or the reason why there is none."""
        rows = self.kept.setdefault(record.split, [])
        if isinstance(verdict, str):
            self.dropped[record.split][verdict] += 1
        else:
            rows.append(verdict)
        if record.note:
            self.notes[record.split][record.note] += 1


def _protocol(reader: str, protocol: str | None) -> str:
    """``protocol``, or the first one that ``reader`` knows. Raises :class:`UnknownName` for another."""
    known = ("majority", "crossentropy", "probability", "plurality") if reader == "ferplus" else ("plurality",)
    if protocol and protocol not in known:
        raise UnknownName(f"protocol for {reader}", protocol, known)
    return protocol or known[0]


def _judge(record: Record, protocol: str, labels: LabelMap, classes: Sequence[str]) -> _Kept | str:
    """What the protocol keeps of ``record``, or the reason why it is dropped."""
    if isinstance(record.media, Damaged):
        return "unreadable"
    votes = np.zeros(len(classes), dtype=np.int32)
    meta = 0
    for (_, label), count in labels.translate(record.votes, record.key).items():
        if label in META:
            meta += count
        else:
            votes[classes.index(label)] += count
    if protocol == "plurality":
        return _plurality(record, votes, meta)
    return _published(record, votes, protocol, labels, classes)


def _plurality(record: Record, votes: NDArray[np.int32], meta: int) -> _Kept | str:
    best = int(votes.argmax())
    outside = sum(record.votes.values()) - int(votes.sum()) - meta
    most, rival = int(votes[best]), max(meta, outside, int(np.delete(votes, best).max(initial=0)))
    if not record.votes:
        return "without votes"
    if most <= rival:
        return "tie" if most == rival else "won by no class"
    return _Kept(record, best, (votes / votes.sum()).astype(np.float32), votes)


def _published(
    record: Record, votes: NDArray[np.int32], protocol: str, labels: LabelMap, classes: Sequence[str]
) -> _Kept | str:
    if protocol == "majority":
        winner = ferplus_protocols.majority(record.votes)
        shares = None if winner is None else {winner: 1.0}
    else:
        shares = ferplus_protocols.crossentropy(record.votes)
        winner = None if shares is None else max(shares, key=lambda name: shares[name])
    if winner is None or shares is None:
        return "no majority" if protocol == "majority" else "no clear distribution"
    target = labels.rules[winner]
    if not isinstance(target, str) or target not in classes:
        return f"{winner} is no class of the model"
    distribution = votes.astype(np.float64)
    if protocol != "majority":
        distribution = np.zeros(len(classes))
        for (_, label), share in _spread(shares, labels).items():
            if label in classes:
                distribution[classes.index(label)] += share
    return _Kept(record, classes.index(target), (distribution / distribution.sum()).astype(np.float32), votes)


def _spread(shares: Mapping[str, float], labels: LabelMap) -> dict[tuple[str, str], float]:
    spread: dict[tuple[str, str], float] = {}
    for name, share in shares.items():
        target = labels.rules[name]
        parts = {target: 1.0} if isinstance(target, str) else target
        spread.update({(name, label): share * part for label, part in parts.items()})
    return spread


def _outside_dropped(labels: Mapping[str, int], classes: Sequence[str], rules: Mapping[str, Target]) -> LabelMap:
    """The label map where labels that mean nothing to the model are dropped instead of being an error."""
    folded = {name.lower() for name in rules}
    outside = {name: DROP for name in labels if name.lower() not in folded and resolve(name, classes) is None}
    return plan(labels, classes, {**rules, **outside})


def _splits(kept: Mapping[str | None, object], split: str | None, spec: str) -> list[str | None]:
    """The splits to judge: the one asked for, else the most held-out one, else what has no split."""
    if not kept:
        raise DataError(f"{spec} holds no images.")
    if split is not None:
        if split not in kept:
            there = ", ".join(part or "none" for part in kept)
            raise DataError(f"{spec} has no {split} split.", hint=f"It has: {there}.")
        return [split]
    return [next((part for part in HELD_OUT if part in kept), None)]


def _supported(declared: tuple[str, ...] | None, labels: LabelMap, classes: Sequence[str]) -> NDArray[np.bool_]:
    shown = labels.targets()
    if declared is not None:
        shown |= {found for name in declared if (found := resolve(name, classes)) is not None}
    return np.array([name in shown for name in classes], dtype=bool)


def _words(
    protocol: str, splits: Sequence[str | None], n: int, dropped: Mapping[str, int], notes: Mapping[str, int]
) -> str:
    where = ", ".join(part for part in splits if part) or "whole set"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(dropped.items(), key=lambda item: -item[1]))
    source = f"; {', '.join(sorted(notes))}" if len(notes) <= 2 and notes else ""
    return f"{PROTOCOLS[protocol]}; {where}; n = {n:,} kept" + (f", dropped: {reasons}" if reasons else "") + source
