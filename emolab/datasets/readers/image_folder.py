"""``ROOT/class/*.jpg`` or ``ROOT/{train,valid,test}/class/*.jpg``, in a folder or a zip: the folder is the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers.source import Options, Reader, Source, Survey, group_rule, images, split_of
from emolab.errors import DataError
from emolab.records import Record
from emolab.taxonomy import KNOWN, canonical


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies: its relative name, the folder that is its label, and its split.

    ``key`` is the name from the label on, the same wherever the dataset's root is taken to be.
    """

    name: str
    key: str
    label: str
    split: str | None


def places(source: Source) -> list[Place]:
    """Every image of ``source`` with the label and split its folders give.

    A single folder that wraps everything is skipped. Raises :class:`DataError` when images lie outside a class folder
    or when split and class folders are mixed on one level.
    """
    names = images(source)
    if not names:
        raise DataError(f"{source.path} holds no images.", hint="Expected ROOT/class/image.jpg.")
    depth = _wrappers(names)
    tops = {PurePosixPath(name).parts[depth] for name in names if len(PurePosixPath(name).parts) > depth + 1}
    splits = {top for top in tops if split_of(top)}
    if splits and splits != tops:
        raise DataError(
            f"{source.path} mixes split folders ({', '.join(sorted(splits))}) and others "
            f"({', '.join(sorted(tops - splits)[:5])}) on one level.",
            hint="Use ROOT/class/image.jpg or ROOT/train/class/image.jpg, not both.",
        )
    at = depth + (1 if splits else 0)
    loose = [name for name in names if len(PurePosixPath(name).parts) < at + 2]
    if loose:
        raise DataError(
            f"{len(loose):,} images of {source.path} lie outside a class folder, the first is {loose[0]}.",
            hint="Move them into a folder named after their class, or use the csv reader.",
        )
    parts = ((name, PurePosixPath(name).parts) for name in names)
    return [
        Place(name, "/".join(part[at:]), part[at], split_of(part[depth]) if splits else None) for name, part in parts
    ]


def records(path: Path, options: Options) -> Iterator[Record]:
    """One record with one vote per image."""
    with Source(path) as source:
        group = group_rule(options.get("group"))
        for place in places(source):
            yield Record(
                key=place.key,
                media=source.media(place.name),
                votes={place.label: 1},
                split=place.split,
                group=group(place.name),
            )


def survey(path: Path, options: Options) -> Survey:
    """How many images each class folder holds."""
    group_rule(options.get("group"))
    with Source(path) as source:
        found = places(source)
    return Survey(len(found), Counter(place.label for place in found))


def _wrappers(names: list[str]) -> int:
    """The number of leading folders that wrap everything (a zip of one folder) and name neither a split nor a class."""
    parts = [PurePosixPath(name).parts for name in names]
    depth = 0
    while all(len(p) > depth + 2 and p[depth] == parts[0][depth] for p in parts):
        if split_of(parts[0][depth]) or canonical(parts[0][depth]) in KNOWN:
            break
        depth += 1
    return depth


read = Reader(
    stream=records,
    survey=survey,
    options={"group": 'what must never be split: "folder", or a regular expression on the relative name'},
)
