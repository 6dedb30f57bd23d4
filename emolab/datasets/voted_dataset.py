"""An open dataset as people to ask: who would say what about which image. Nothing enters the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.merge.label_map import DROP, Target, plan
from emolab.datasets.near_copies.finder import open_finder
from emolab.datasets.near_copies.groups import groups
from emolab.datasets.readers.reader import ReaderOptions, as_reader
from emolab.datasets.readers.source import Damaged
from emolab.datasets.splits.speakers import refuse_column
from emolab.errors import DataError, UnknownName
from emolab.modalities.modality import recognised
from emolab.plugins import READERS
from emolab.records import SPLITS
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.datasets.merge.label_map import LabelMap
    from emolab.records import Record


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """n images with everything people said. ``names`` (n) the dataset's own, ``media`` (n) bytes or paths.

    ``ids`` (n) are the hex sha256 of the files: the same bytes are one image, whoever voted on it where.
    ``votes`` (n, k) people per class; ``skips`` (n,) people who named none of ``classes`` (unknown, not a face, a label
    the classes do not have); ``splits`` and ``groups`` (n) as the dataset gives them. ``silent`` images, left
    out, had nobody who named a class, ``unreadable`` ones are damaged. ``said`` (n, p), where people are known by name,
    is what each of them says: a class number, -1 for an answer that names no class, -2 for none.
    """

    spec: str
    classes: tuple[str, ...]
    ids: list[str]
    names: list[str]
    media: list[bytes | Path]
    votes: NDArray[np.int64]
    skips: NDArray[np.int64]
    splits: list[str | None]
    groups: list[str | None]
    silent: int
    unreadable: int
    said: NDArray[np.int16] | None = None


def read(
    spec: str,
    classes: Sequence[str],
    *,
    split: str | None = None,
    options: ReaderOptions | None = None,
    rules: Mapping[str, Target] | None = None,
    allow_speaker_leak: bool = False,
) -> Crowd:
    """The images of ``spec`` = ``READER:PATH`` and their votes, all of them or those of ``split``.

    Several records of one image are several people. Raises :class:`UnknownName` for a reader or split and
    :class:`DataError` where nobody names a class, and for a column of speakers that no group is made of, which
    ``allow_speaker_leak`` lets be.
    """
    name, _, where = spec.partition(":")
    reader, path, options = as_reader(READERS.load(name)), Path(where).expanduser(), options or {}
    if split is not None and split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    survey = reader.survey(path, options)
    refuse_column(survey, str(path), allowed=allow_speaker_leak)
    labels = _label_map(survey.labels, classes, rules or {})
    table = _VoteTable(classes, labels)
    unreadable = 0
    for record in reader(path, options):
        if split is not None and record.split != split:
            continue
        if isinstance(record.media, Damaged):
            unreadable += 1
        else:
            table.add(record, record.media)
    votes = table.matrix()
    kept = np.flatnonzero(votes.sum(axis=1)).tolist()
    if not kept:
        part = f" in the split {split}" if split else ""
        raise DataError(
            f"None of the {len(table.media):,} images of {spec}{part} has a vote for {', '.join(classes)}.",
            hint="Name the classes of the dataset: --set project.classes=anger,fear,...",
        )
    ids = list(table.rows)
    return Crowd(
        spec=spec,
        classes=tuple(classes),
        ids=[ids[i] for i in kept],
        names=[table.names[i] for i in kept],
        media=[table.media[i] for i in kept],
        votes=votes[kept],
        skips=np.array(table.skips, dtype=np.int64)[kept],
        splits=[table.splits[i] for i in kept],
        groups=[table.groups[i] for i in kept],
        silent=len(table.media) - len(kept),
        unreadable=unreadable,
    )


def _label_map(found: Mapping[str, int], classes: Sequence[str], rules: Mapping[str, Target]) -> LabelMap:
    """``rules`` for the labels of the dataset; those that are neither in them nor a class are dropped."""
    chosen = {label.lower() for label in rules}
    outside = {label: DROP for label in found if label.lower() not in chosen and resolve(label, classes) is None}
    return plan(found, classes, {**rules, **outside})


class _VoteTable:
    """Images in the order in which they come, a row each, and what people said about them."""

    def __init__(self, classes: Sequence[str], labels: LabelMap) -> None:
        self._classes = classes
        self._labels = labels
        self._votes: list[NDArray[np.int64]] = []
        self.rows: dict[str, int] = {}
        self.names: list[str] = []
        self.media: list[bytes | Path] = []
        self.skips: list[int] = []
        self.splits: list[str | None] = []
        self.groups: list[str | None] = []

    def add(self, record: Record, media: bytes | Path) -> None:
        """Count the votes of ``record``; those that name no class are skips."""
        row = self.rows.setdefault(digest(media), len(self.media))
        if row == len(self.media):
            self.names.append(record.key)
            self.media.append(media)
            self._votes.append(np.zeros(len(self._classes), dtype=np.int64))
            self.skips.append(0)
            self.splits.append(record.split)
            self.groups.append(record.group)
        counted = 0
        for (_, label), count in self._labels.translate(record.votes, record.key).items():
            if label not in META:
                self._votes[row][self._classes.index(label)] += count
                counted += count
        self.skips[row] += sum(record.votes.values()) - counted

    def matrix(self) -> NDArray[np.int64]:
        """People per class: (n, k)."""
        return np.stack(self._votes) if self._votes else np.zeros((0, len(self._classes)), dtype=np.int64)


def digest(media: bytes | Path) -> str:
    """Hex sha256 of an image file."""
    return hashlib.sha256(media if isinstance(media, bytes) else media.read_bytes()).hexdigest()


def label_names(spec: str, *, options: ReaderOptions | None = None) -> list[str]:
    """The dataset's own label names, by name, without looking at an image."""
    name, _, where = spec.partition(":")
    return sorted(as_reader(READERS.load(name)).survey(Path(where).expanduser(), options or {}).labels)


def units(media: Sequence[bytes | Path]) -> NDArray[np.int64]:
    """A number for each sample, the same one for near copies (n,); those with nothing to compare stand alone."""
    finder = open_finder(recognised(media).name)
    if finder is None or not media:
        return np.arange(len(media), dtype=np.int64)
    blank = np.zeros(finder.shape, dtype=np.uint8)
    looks = [finder.look(item) for item in media]
    return groups(np.stack([blank if each is None else each for each in looks]), finder)
