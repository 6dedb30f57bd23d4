"""What a reader says about itself, and what calling it gives."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from emolab.errors import UnknownName
from emolab.modalities.problems import Problem, shown
from emolab.records import Record

ReaderOptions = Mapping[str, str]


@dataclass(slots=True)
class Survey:
    """How many ``records`` there are and how many votes each of the source's own ``labels`` has.

    ``ignored`` counts, by suffix, files that no record is made of; ``problems`` are those met on the way to them.
    ``placed`` are the splits that each group is in; ``speakers`` is a column that says who
    it is and that no group is made of.
    """

    records: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    placed: dict[str, set[str]] = field(default_factory=dict)
    speakers: str | None = None

    def add(self, votes: Mapping[str, int], *, group: str | None = None, split: str | None = None) -> None:
        """Count one record."""
        self.records += 1
        if group:
            self.placed.setdefault(group, set()).update({split} if split else ())
        for label, count in votes.items():
            self.labels[label_text(label)] += count


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader and what it declares; calling it streams the records.

    ``survey`` counts records and the source's own label names without touching the media; ``supported`` names the
    classes the source can show (``None``: the labels that occur), a class outside it is not a negative; ``options``
    maps each accepted option to one line of help (``None``: the reader checks them itself); ``licence`` is what the
    publisher says; ``split`` is the split of records that name none. ``label_sets`` are the sets of labels that one
    dataset comes with, by the name that the option ``labels`` chooses them by (``None``: there is one only).
    """

    stream: Callable[[Path, ReaderOptions], Iterator[Record]]
    survey: Callable[[Path, ReaderOptions], Survey]
    supported: tuple[str, ...] | None = None
    perspective: str = "perceived"
    licence: str | None = None
    split: str | None = None
    options: Mapping[str, str] | None = field(default_factory=dict)
    label_sets: Callable[[Path], Mapping[str, tuple[str, ...]]] | None = None

    def __call__(self, path: Path, options: ReaderOptions) -> Iterator[Record]:
        """The records below ``path``; raises :class:`UnknownName` for an option the reader does not have."""
        self.check(options)
        return map(_tidy, self.stream(path, options))

    def check(self, options: ReaderOptions) -> None:
        """Raise :class:`UnknownName` for an option the reader does not have."""
        known = self.options
        unknown = [name for name in options if known is not None and name not in known]
        if unknown:
            raise UnknownName("reader option", unknown[0], known or ())


def as_reader(function: Callable[[Path, ReaderOptions], Iterator[Record]]) -> Reader:
    """``function`` itself when it is a :class:`Reader`, else a reader around a plug-in's plain function."""
    if isinstance(function, Reader):
        return function

    def count(path: Path, options: ReaderOptions) -> Survey:
        found = Survey()
        for record in function(path, options):
            found.add(record.votes, group=record.group, split=record.split)
        return found

    return Reader(stream=function, survey=count, options=None)


def label_text(label: str) -> str:
    """``label`` as it is shown and stored: one Unicode form for one letter, and no bytes that are not text."""
    return label if label.isascii() else shown(unicodedata.normalize("NFC", label))


def _tidy(record: Record) -> Record:
    if all(label.isascii() for label in record.votes):
        return record
    votes: Counter[str] = Counter()
    for label, count in record.votes.items():
        votes[label_text(label)] += count
    return replace(record, votes=dict(votes))
