"""A table of paths or sentences and labels: ``path,label[,split,group,annotator]``, or one column of counts per label.

Column names are options, so most tables can be read as they are; relative paths start at the table's folder or at
the option ``root``. Several rows may name one image: each is a vote of its own.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers import split_words
from emolab.datasets.readers.columns import Columns
from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import Damaged, SourceTree, group_rule, is_table, on_disk
from emolab.datasets.readers.split_words import SplitWords, split_of
from emolab.datasets.readers.table import Fault, Table, delimiter_of, open_table, some_sound
from emolab.errors import DataError, UnknownName
from emolab.records import Record

OPTIONS = {
    "table": "the table's name when the folder or zip holds several",
    "path": 'column with the path of the file (default "path")',
    "sentence": 'column with the sentence itself, instead of a path (default "text" and the like, without a path)',
    "label": 'column with the label (default "label")',
    "votes": "columns with vote counts, separated by commas, instead of a label column",
    "split": 'column with the split (default "split" where it exists; empty for none)',
    split_words.OPTION: split_words.HELP,
    "group": 'column with what must never be split: a subject, a video (default "group" where it exists)',
    "annotator": 'column with who gave the label (default "annotator" where it exists)',
    "group_by": 'group from the path instead: "folder" or a regular expression',
    "root": "folder the paths start at, relative to the table",
    "delimiter": "what separates columns (default: what makes the columns fit)",
}


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of the table: ``path`` as written, ``number`` counted from 1 without the header; or its ``text``."""

    number: int
    path: str
    text: str | None
    votes: Mapping[str, int]
    split: str | None
    group: str | None
    annotator: str | None


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per row."""
    group = group_rule(options.get("group_by"))
    with _Tables(path, options) as tables:
        for table in tables.names:
            for row in tables.rows(table):
                key = f"{(isinstance(row, CsvRow) and row.path) or table}#{row.number}"
                if isinstance(row, Fault):
                    yield Record(key=key, media=Damaged(row.reason, "bad row"), votes={})
                else:
                    yield Record(
                        key=key,
                        media=tables.media(table, row.path) if row.text is None else row.text.encode(),
                        votes=row.votes,
                        split=row.split,
                        group=row.group or group(row.path),
                        annotator=row.annotator,
                    )


def survey(path: Path, options: ReaderOptions) -> Survey:
    """The votes each label has in the table."""
    group = group_rule(options.get("group_by"))
    found = Survey()
    with _Tables(path, options) as tables:
        used = set(tables.names)
        for table in tables.names:
            for row in tables.rows(table):
                if isinstance(row, Fault):
                    found.add({})
                    continue
                found.add(row.votes, group=row.group or group(row.path), split=row.split)
                if tables.source is not None and row.text is None:
                    used.add(tables.source.find(tables.name_of(table, row.path)))
        found.speakers = tables.speakers
        if tables.source is not None:
            found.ignored, found.problems = tables.source.passed_over(used), tables.source.problems
    return found


class _Tables(ExitStack):
    """The tables of a dataset and the images they name: a file of its own, or tables in a folder or zip."""

    def __init__(self, path: Path, options: ReaderOptions) -> None:
        super().__init__()
        self._path, self._options = path, options
        self._delimiter = delimiter_of(options.get("delimiter"))
        self._words = SplitWords(options)
        self._root = options.get("root", "").replace("\\", "/")
        self.source: SourceTree | None = None
        self.speakers: str | None = None
        if is_table(path) or not (path.is_dir() or os.path.lexists(path)):
            self.names = [path.name]
        else:
            self.source = self.enter_context(SourceTree(path))
            self.names = _named(self.source, options)

    def rows(self, table: str) -> Iterator[CsvRow | Fault]:
        """The rows of ``table``; raises :class:`DataError` for a table that does not fit, or that is all faults."""
        if self.source is not None:
            opened = self.source.table(table, fits=self._fits, delimiter=self._delimiter)
            yield from some_sound(self._read(opened), table)
            return
        with open_table(self._path) as stream:
            opened = Table(stream, table, fits=self._fits, delimiter=self._delimiter)
            yield from some_sound(self._read(opened), table)

    def name_of(self, table: str, path: str) -> str:
        """The name in the tree of what ``path`` means in ``table``."""
        return str(PurePosixPath(table).parent / self._root / path)

    def media(self, table: str, path: str) -> bytes | Path:
        """The image that ``table`` calls ``path``."""
        if self.source is not None:
            return self.source.media(self.name_of(table, path))
        folder = self._path.parent / self._root
        for name in (path, path.replace("\\", "/")):
            for form in (name, *(unicodedata.normalize(f, name) for f in ("NFC", "NFD") if not name.isascii())):
                if os.path.lexists(folder / form):
                    return on_disk(folder / form)
        return folder / path.replace("\\", "/")

    def _fits(self, header: Sequence[str]) -> bool:
        return Columns.fit(header, self._options)

    def _read(self, table: Table) -> Iterator[CsvRow | Fault]:
        columns = Columns(table, self._options, self._words, self._path.parent)
        self.speakers = self.speakers or columns.speakers
        named = None if self._options.get("split") == "" else split_of(PurePosixPath(table.name).name.partition(".")[0])
        for line in columns.lines():
            if isinstance(line, Fault):
                yield line
                continue
            path, text = columns.cell(line, "path"), columns.cell(line, "sentence")
            votes = columns.votes(line)
            if path is None and text is None:
                yield Fault(line.number, "has no sentence" if columns.sentences else "names no file")
            elif isinstance(votes, Fault):
                yield votes
            else:
                split = columns.split(line, path or "") if columns.says_split else named
                who = columns.cell(line, "group"), columns.cell(line, "annotator")
                yield CsvRow(line.number, path or "", text, votes, split, *who)


def _named(source: SourceTree, options: ReaderOptions) -> list[str]:
    """The table that is asked for, the only one, or those that are called after the splits, one each."""
    tables = [name for name in source.names if name.lower().endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz"))]
    if wanted := options.get("table"):
        if wanted not in tables:
            raise UnknownName("table", wanted, tables)
        return [wanted]
    splits = {split_of(PurePosixPath(name).name.partition(".")[0]) for name in tables}
    if len(tables) == 1 or (tables and None not in splits and len(splits) == len(tables)):
        return tables
    raise DataError(
        f"{source.path} holds {len(tables)} tables.",
        hint=f"Name one: --option table={tables[0]}" if tables else "Expected one .csv or .tsv file.",
    )


read = Reader(stream=records, survey=survey, options=OPTIONS)
