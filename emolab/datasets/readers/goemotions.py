"""GoEmotions (Demszky et al. 2020, arXiv 2005.00547): sentences from Reddit with one or several of 28 labels.

One table a split (``train.tsv``, ``dev.tsv``, ``test.tsv``) without a header: text, label numbers separated by commas,
id of the comment. ``labels.txt`` (or ``emotions.txt``) beside it gives the names that the numbers index, from 0. The
same sentences come with other labels in a folder of their own: ``original`` (28) and ``ekman`` (six and neutral).

Each label is a vote that at least two of three readers cast; how many did is not in these tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers import split_words
from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey, label_text
from emolab.datasets.readers.source import Damaged, SourceTree
from emolab.datasets.readers.split_words import SplitWords
from emolab.datasets.readers.table import LINE_LIMIT, Fault, some_sound
from emolab.errors import DataError, UnknownName
from emolab.records import Record

NAMES = ("labels.txt", "emotions.txt")
#: Which labels are read where both are there and nobody says.
PREFERRED = "ekman"


@dataclass(frozen=True, slots=True)
class SentenceRow:
    """One sound row of the table ``table``: its number, the sentence, its labels by name, the comment's id."""

    table: str
    number: int
    text: str
    labels: tuple[str, ...]
    id: str


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per sentence, its media the text in UTF-8, one vote for each of its labels."""
    words = SplitWords(options)
    with SourceTree(path) as source:
        for table in _tables(source, options):
            split = words.of(PurePosixPath(table).stem)
            for row in some_sound(_rows(source, table), table):
                if isinstance(row, Fault):
                    media = Damaged(row.reason, "bad row")
                    yield Record(key=f"{table}#{row.number}", media=media, votes={}, split=split)
                else:
                    yield Record(
                        key=row.id,
                        media=row.text.encode(),
                        votes=dict.fromkeys(row.labels, 1),
                        split=split,
                        licence="CC BY 4.0",
                    )


def survey(path: Path, options: ReaderOptions) -> Survey:
    """How many sentences have each label."""
    with SourceTree(path) as source:
        tables = _tables(source, options)
        found = Survey(problems=source.problems, ignored=source.passed_over([*tables, *_name_files(source)]))
        for table in tables:
            for row in some_sound(_rows(source, table), table):
                found.add({} if isinstance(row, Fault) else dict.fromkeys(row.labels, 1))
        return found


def label_sets(path: Path) -> dict[str, tuple[str, ...]]:
    """The folders of tables at ``path`` by name, such as ekman, each with the names that its numbers index."""
    with SourceTree(path) as source:
        return {PurePosixPath(folder).name: _names(source, folder) for folder in _folders(source)}


def _name_files(source: SourceTree) -> list[str]:
    return [name for name in source.names if PurePosixPath(name).name.lower() in NAMES]


def _folders(source: SourceTree) -> dict[str, list[str]]:
    """Folder -> its tables whose names are splits, where the labels' names lie beside them."""
    named = {str(PurePosixPath(name).parent) for name in _name_files(source)}
    found: dict[str, list[str]] = {}
    for name in source.names:
        place = PurePosixPath(name)
        if place.suffix.lower() == ".tsv" and split_words.split_of(place.stem) and str(place.parent) in named:
            found.setdefault(str(place.parent), []).append(name)
    if not found:
        raise DataError(
            f"{source.path} holds no GoEmotions.",
            hint="Expected train.tsv, dev.tsv or test.tsv in a folder with labels.txt.",
        )
    return found


def _tables(source: SourceTree, options: ReaderOptions) -> list[str]:
    """The tables of the labels that are asked for, or of the only ones, or those of Ekman's emotions."""
    folders = {PurePosixPath(folder).name: tables for folder, tables in _folders(source).items()}
    wanted = options.get("labels")
    if wanted is None:
        wanted = PREFERRED if PREFERRED in folders else next(iter(folders))
    if wanted not in folders:
        raise UnknownName("set of labels", wanted, folders)
    return folders[wanted]


def _names(source: SourceTree, folder: str) -> tuple[str, ...]:
    file = next(name for name in _name_files(source) if str(PurePosixPath(name).parent) == folder)
    with source.open(file) as stream:
        data = stream.read(LINE_LIMIT)
    try:
        return tuple(label_text(line.strip()) for line in data.decode("utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise DataError(f"{file} in {source.path} is not UTF-8: {error}.") from error


def _rows(source: SourceTree, table: str) -> Iterator[SentenceRow | Fault]:
    names = _names(source, str(PurePosixPath(table).parent))
    with source.open(table) as stream:
        number = 0
        while line := stream.readline(LINE_LIMIT):
            number += 1
            if line.strip():
                yield _row(table, number, line, names)


def _row(table: str, number: int, line: bytes, names: tuple[str, ...]) -> SentenceRow | Fault:
    try:
        cells = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return Fault(number, "is not UTF-8")
    if len(cells) != 3:
        return Fault(number, f"has {len(cells)} columns, expected 3: text, label numbers, id")
    text, numbers, comment = (cell.strip() for cell in cells)
    try:
        labels = tuple(dict.fromkeys(names[_index(each)] for each in numbers.split(",")))
    except (ValueError, IndexError):
        return Fault(number, f'has the labels "{numbers[:40]}", expected numbers from 0 to {len(names) - 1}')
    return SentenceRow(table, number, text, labels, comment) if text else Fault(number, "holds no text")


def _index(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


read = Reader(
    stream=records,
    survey=survey,
    licence="CC BY 4.0",
    label_sets=label_sets,
    options={
        "labels": 'which labels, by the folder of their tables: "ekman" (default where it is there) or "original"',
        split_words.OPTION: split_words.HELP,
    },
)
