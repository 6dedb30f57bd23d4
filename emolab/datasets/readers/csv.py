"""A table of paths and labels: ``path,label[,split,group,annotator]``, or one column of counts per label.

Column names are options, so most tables can be read as they are; relative paths start at the table's folder or at
the option ``root``. Several rows may name one image: each is a vote of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers.source import Options, Reader, Source, Survey, group_rule, split_of, table_file
from emolab.errors import DataError, UnknownName
from emolab.records import Record

OPTIONS = {
    "table": "the table's name when the folder or zip holds several",
    "path": 'column with the image path (default "path")',
    "label": 'column with the label (default "label")',
    "votes": "columns with vote counts, separated by commas, instead of a label column",
    "split": 'column with the split (default "split" where it exists)',
    "group": 'column with what must never be split: a subject, a video (default "group" where it exists)',
    "annotator": 'column with who gave the label (default "annotator" where it exists)',
    "group_by": 'group from the path instead: "folder" or a regular expression',
    "root": "folder the paths start at, relative to the table",
    "delimiter": 'what separates columns (default ",", or a tabulator for .tsv)',
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: ``path`` as written, ``line`` counted from 1 without the header."""

    line: int
    path: str
    votes: Mapping[str, int]
    split: str | None
    group: str | None
    annotator: str | None


def records(path: Path, options: Options) -> Iterator[Record]:
    """One record per row."""
    group = group_rule(options.get("group_by"))
    if not path.is_dir() and path.suffix.lower() != ".zip":
        folder = path.parent / options.get("root", "")
        for row in _from_file(path, options):
            yield _record(row, folder / row.path, row.group or group(row.path))
        return
    with Source(path) as source:
        table = _table(source, options)
        root = PurePosixPath(table).parent / options.get("root", "")
        for row in _from_source(source, table, options):
            name = (root / row.path).as_posix()
            yield _record(row, source.media(name), row.group or group(row.path))


def survey(path: Path, options: Options) -> Survey:
    """The votes each label has in the table."""
    group_rule(options.get("group_by"))
    found = Survey()
    if not path.is_dir() and path.suffix.lower() != ".zip":
        for row in _from_file(path, options):
            found.add(row.votes)
        return found
    with Source(path) as source:
        for row in _from_source(source, _table(source, options), options):
            found.add(row.votes)
    return found


def _record(row: Row, media: bytes | Path, group: str | None) -> Record:
    return Record(
        key=f"{row.path}#{row.line}",
        media=media,
        votes=row.votes,
        split=row.split,
        group=group,
        annotator=row.annotator,
    )


def _from_file(path: Path, options: Options) -> Iterator[Row]:
    return _rows(table_file(path, delimiter=_delimiter(path.name, options)), path.name, options)


def _from_source(source: Source, table: str, options: Options) -> Iterator[Row]:
    return _rows(source.table(table, delimiter=_delimiter(table, options)), table, options)


def _delimiter(table: str, options: Options) -> str:
    given = options.get("delimiter", "\t" if table.lower().endswith(".tsv") else ",").replace("\\t", "\t")
    if len(given) != 1:
        raise DataError(f'delimiter="{given}" is not one character.')
    return given


def _table(source: Source, options: Options) -> str:
    tables = [name for name in source.names if PurePosixPath(name).suffix.lower() in (".csv", ".tsv")]
    if wanted := options.get("table"):
        if wanted not in tables:
            raise UnknownName("table", wanted, tables)
        return wanted
    if len(tables) != 1:
        raise DataError(
            f"{source.path} holds {len(tables)} tables.",
            hint=f"Name one: --option table={tables[0]}" if tables else "Expected one .csv or .tsv file.",
        )
    return tables[0]


def _rows(rows: Iterator[list[str]], table: str, options: Options) -> Iterator[Row]:
    header = [cell.strip() for cell in next(rows, [])]

    def column(option: str, *, needed: bool) -> int | None:
        name = options.get(option, option)
        if name in header:
            return header.index(name)
        if needed or option in options:
            raise UnknownName(f"column of {table}", name, header, hint=f"Name it with --option {option}=COLUMN.")
        return None

    path = column("path", needed=True)
    counted = [name.strip() for name in options["votes"].split(",")] if "votes" in options else []
    for name in counted:
        if name not in header:
            raise UnknownName(f"column of {table}", name, header)
    label = column("label", needed=True) if not counted else None
    split, group, annotator = (column(name, needed=False) for name in ("split", "group", "annotator"))

    for line, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"Row {line} of {table} has {len(row)} columns, expected {len(header)}.")

        def cell(at: int | None, row: list[str] = row) -> str | None:
            return None if at is None else row[at].strip() or None

        image = cell(path)
        if image is None:
            raise DataError(f"Row {line} of {table} names no image.")
        votes = (
            _counts(row, header, counted, table, line) if counted else {answer: 1} if (answer := cell(label)) else {}
        )
        yield Row(line, image, votes, _split(cell(split), table, line), cell(group), cell(annotator))


def _counts(row: list[str], header: list[str], counted: list[str], table: str, line: int) -> dict[str, int]:
    counts = {}
    for name in counted:
        text = row[header.index(name)].strip() or "0"
        if not text.isdecimal():
            raise DataError(f'Row {line} of {table} has "{text}" as count of {name}, expected a whole number.')
        if int(text):
            counts[name] = int(text)
    return counts


def _split(text: str | None, table: str, line: int) -> str | None:
    if text is None:
        return None
    split = split_of(text)
    if split is None:
        raise DataError(f'Row {line} of {table} has the split "{text}".', hint="Expected train, valid or test.")
    return split


read = Reader(stream=records, survey=survey, options=OPTIONS)
