"""An open dataset as people to ask: who would say what about which image. Nothing enters the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.merge.label_map import DROP, Target, plan
from emolab.datasets.near_copies.groups import groups
from emolab.datasets.near_copies.thumbnails import of_media
from emolab.datasets.readers.source import Damaged, Options, as_reader
from emolab.errors import DataError, UnknownName
from emolab.modalities.image.look import SIDE
from emolab.plugins import READERS
from emolab.records import SPLITS
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    options: Options | None = None,
    rules: Mapping[str, Target] | None = None,
) -> Crowd:
    """The images of ``spec`` = ``READER:PATH`` and their votes, all of them or those of ``split``.

    Several records of one image are several people. Raises :class:`UnknownName` for a reader or split and
    :class:`DataError` where nobody names a class.
    """
    name, _, where = spec.partition(":")
    reader, path, options = as_reader(READERS.load(name)), Path(where).expanduser(), options or {}
    if split is not None and split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    found = reader.survey(path, options).labels
    chosen = {label.lower() for label in rules or {}}
    outside = {label: DROP for label in found if label.lower() not in chosen and resolve(label, classes) is None}
    labels = plan(found, classes, {**(rules or {}), **outside})
    place: dict[str, int] = {}
    names: list[str] = []
    media: list[bytes | Path] = []
    votes: list[NDArray[np.int64]] = []
    skips: list[int] = []
    splits: list[str | None] = []
    units: list[str | None] = []
    unreadable = 0
    for record in reader(path, options):
        if split is not None and record.split != split:
            continue
        if isinstance(record.media, Damaged):
            unreadable += 1
            continue
        row = place.setdefault(digest(record.media), len(media))
        if row == len(media):
            names.append(record.key)
            media.append(record.media)
            votes.append(np.zeros(len(classes), dtype=np.int64))
            skips.append(0)
            splits.append(record.split)
            units.append(record.group)
        told: dict[str, int] = {}
        for (_, label), count in labels.translate(record.votes, record.key).items():
            if label not in META:
                told[label] = told.get(label, 0) + count
        for label, count in told.items():
            votes[row][classes.index(label)] += count
        skips[row] += sum(record.votes.values()) - sum(told.values())
    table = np.stack(votes) if votes else np.zeros((0, len(classes)), dtype=np.int64)
    kept = np.flatnonzero(table.sum(axis=1)).tolist()
    if not kept:
        part = f" in the split {split}" if split else ""
        raise DataError(
            f"None of the {len(media):,} images of {spec}{part} has a vote for {', '.join(classes)}.",
            hint="Name the classes of the dataset: --set project.classes=anger,fear,...",
        )
    ids = list(place)
    return Crowd(
        spec=spec,
        classes=tuple(classes),
        ids=[ids[i] for i in kept],
        names=[names[i] for i in kept],
        media=[media[i] for i in kept],
        votes=table[kept],
        skips=np.array(skips, dtype=np.int64)[kept],
        splits=[splits[i] for i in kept],
        groups=[units[i] for i in kept],
        silent=len(media) - len(kept),
        unreadable=unreadable,
    )


def digest(media: bytes | Path) -> str:
    """Hex sha256 of an image file."""
    return hashlib.sha256(media if isinstance(media, bytes) else media.read_bytes()).hexdigest()


def label_names(spec: str, *, options: Options | None = None) -> list[str]:
    """The dataset's own label names, by name, without looking at an image."""
    name, _, where = spec.partition(":")
    return sorted(as_reader(READERS.load(name)).survey(Path(where).expanduser(), options or {}).labels)


def units(media: Sequence[bytes | Path]) -> NDArray[np.int64]:
    """A number for each image, the same one for near copies (n,); those with nothing to compare stand alone."""
    blank = np.zeros((SIDE, SIDE), dtype=np.uint8)
    looks = [of_media(item) for item in media]
    return groups(np.stack([blank if each is None else each for each in looks]) if looks else blank[:0, None])
