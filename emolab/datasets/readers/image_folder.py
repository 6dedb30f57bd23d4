"""Folders of images, one of which is the label: ``ROOT/class/*.jpg``, with splits above or below; or such a zip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers import layout, split_words
from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey, label_text
from emolab.datasets.readers.source import SourceTree, group_rule
from emolab.datasets.readers.split_words import SplitWords
from emolab.errors import DataError
from emolab.modalities.problems import shown
from emolab.records import Record

OPTIONS = {
    "layout": "what the folders are, from the outside in, such as split/group/class; - for one that means nothing",
    split_words.OPTION: split_words.HELP,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies: its relative name, and what its folders say of it: label, split and group.

    ``key`` is the name without wrapping folders and the split, the same wherever the dataset's root is taken to be.
    """

    name: str
    key: str
    label: str
    split: str | None
    group: str | None = None


def places(source: SourceTree, options: ReaderOptions) -> list[Place]:
    """Every image of ``source`` with what its folders say; see :func:`emolab.datasets.readers.layout.find`.

    Raises :class:`DataError` when there are none, and when it is not clear what the folders are.
    """
    names = source.images()
    if not names:
        raise DataError(f"{source.path} holds no images.", hint="Expected ROOT/class/image.jpg.")
    words = SplitWords(options)
    found = layout.find(names, str(source.path), words, options.get("layout"))
    made = []
    for name in names:
        parts = PurePosixPath(name).parts
        made.append(
            Place(
                name=name,
                key=shown(found.key(parts)),
                label=label_text(parts[found.label]),
                split=None if found.split is None else words.of(parts[found.split]),
                group=None if found.group is None else shown(parts[found.group]),
            )
        )
    return made


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record with one vote per image."""
    with SourceTree(path) as source:
        group = group_rule(options.get("group"))
        for place in places(source, options):
            yield Record(
                key=place.key,
                media=source.media(place.name),
                votes={place.label: 1},
                split=place.split,
                group=group(place.name) or place.group,
            )


def survey(path: Path, options: ReaderOptions) -> Survey:
    """How many images each class folder holds."""
    group = group_rule(options.get("group"))
    with SourceTree(path) as source:
        return counted(source, places(source, options), group)


def counted(source: SourceTree, found: list[Place], group: Callable[[str], str | None] = lambda _name: None) -> Survey:
    """The survey of images by their places; ``group`` tells that of a name."""
    result = Survey(ignored=source.passed_over({place.name for place in found}), problems=source.problems)
    for place in found:
        result.add({place.label: 1}, group=group(place.name) or place.group, split=place.split)
    return result


read = Reader(
    stream=records,
    survey=survey,
    options={"group": 'what must never be split: "folder", or a regular expression on the relative name', **OPTIONS},
)
