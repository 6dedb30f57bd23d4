"""Delimited tables as people have them: any usual delimiter and encoding, compressed or not, with bad rows in them."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar, cast

from emolab.datasets.collect.archive import BROKEN
from emolab.errors import DataError
from emolab.files import open_file
from emolab.modalities.problems import shown

#: The longest line of a table, in characters, and the most text of one table.
LINE_LIMIT = 1 << 24
TABLE_LIMIT = 1 << 32

#: Lines that one quoted cell may span.
CELL_LINES = 20

DELIMITERS = (",", ";", "\t", "|")
NAMED = {"\\t": "\t", "tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}

_LFS = "version https://git-lfs.github.com/spec/"
_FIRST_BYTES = {
    b"PK\x03\x04": "a zip or an Excel file",
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite": "a database",
    b"Rar!": "a rar archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be used: its number (the first below the header is 1) and why, after "Row 3 of x.csv"."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table with as many cells as its header."""

    number: int
    cells: list[str]


T = TypeVar("T")


class Table:
    """A table in the bytes of ``stream``, called ``name`` in messages.

    ``fits`` tells whether cells are a header (or, without one, a row) of the table that is looked for: the delimiter is
    the first that makes it fit, unless it is given. ``header=False``: the first line is a row, and ``width`` cells make
    one. Raises :class:`DataError` for what is no table.
    """

    def __init__(
        self,
        stream: IO[bytes],
        name: str,
        *,
        fits: Callable[[Sequence[str]], bool],
        delimiter: str | None = None,
        width: int | None = None,
    ) -> None:
        csv.field_size_limit(LINE_LIMIT)
        self.name = name
        self._lines = _lines(_text(stream, name), name)
        first = next((line for line in self._lines if line.strip()), "")
        self._check(first)
        if marked := re.fullmatch(r'"?sep=(.)"?\s*', first.rstrip("\r\n"), re.IGNORECASE):  # written by Excel
            delimiter = delimiter or marked.group(1)
            first = next((line for line in self._lines if line.strip()), "")
        usual = ("\t", *DELIMITERS) if name.lower().endswith((".tsv", ".tsv.gz")) else DELIMITERS
        self.delimiter = delimiter or next((each for each in usual if fits(_cells(first, each))), usual[0])
        self._pending = deque([first] if width is not None and first else [])
        self.header = [cell.strip() for cell in _cells(first, self.delimiter)] if width is None else []
        while self.header and not self.header[-1]:
            self.header.pop()
        self._width = len(self.header) if width is None else width

    def rows(self) -> Iterator[Line | Fault]:
        """The rows below the header, blank ones left out, streamed."""
        number = 0
        while (line := self._next()) is not None:
            cells = _cells(line, self.delimiter)
            if '"' in line and len(cells) != self._width:
                cells = self._joined(line) or cells
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            if len(cells) > self._width and not any(cell.strip() for cell in cells[self._width :]):
                cells = cells[: self._width]
            if any("\udc80" <= sign <= "\udcff" for sign in line):
                yield Fault(number, f"is not a table in UTF-8: {shown(line.strip())[:60]}")
            elif len(cells) != self._width:
                yield Fault(number, f"has {len(cells)} columns, expected {self._width}")
            else:
                yield Line(number, cells)

    def _joined(self, line: str) -> list[str] | None:
        """The cells of ``line`` with the lines that an open quote takes in, if they are a row together."""
        taken: list[str] = []
        text = line
        while text.count('"') % 2 and len(taken) < CELL_LINES and (more := self._next()) is not None:
            taken.append(more)
            text += more
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, skipinitialspace=True), [])
        if len(cells) == self._width:
            return cells
        self._pending.extendleft(reversed(taken))
        return None

    def _next(self) -> str | None:
        return self._pending.popleft() if self._pending else next(self._lines, None)

    def _check(self, first: str) -> None:
        if first.startswith(_LFS):
            raise DataError(
                f"{self.name} is a git-lfs pointer, not the table itself.", hint='Run "git lfs pull" in the clone.'
            )
        if re.match(r"\s*<(!doctype|html|\?xml)", first, re.IGNORECASE):
            raise DataError(f"{self.name} is a web page, not a table.", hint="Download the file itself.")


def open_table(path: Path) -> IO[bytes]:
    """A table that is a file of its own; raises :class:`DataError` when it cannot be opened."""
    try:
        return open_file(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path} cannot be read: {reason}.", hint="Give a table, a folder or a zip.") from error


def delimiter_of(option: str | None) -> str | None:
    """The delimiter that the option asks for. Raises :class:`DataError` unless it is one character."""
    if option is None:
        return None
    given = NAMED.get(option.lower(), option)
    if len(given) != 1:
        raise DataError(f'delimiter="{option}" is not one character.')
    return given


def some_sound(rows: Iterator[T | Fault], table: str) -> Iterator[T | Fault]:
    """``rows`` as they come; raises :class:`DataError` at the end when all of them are faults: then it is the table."""
    held: list[Fault] = []
    sound = False
    for row in rows:
        if isinstance(row, Fault) and not sound:
            held.append(row)
            continue
        sound = True
        yield from held
        held.clear()
        yield row
    if held:
        others = "" if len(held) == 1 else f" None of its {len(held):,} rows can be used."
        raise DataError(f"Row {held[0].number} of {table} {held[0].reason}.{others}")


def whole_number(text: str) -> int | None:
    """The count in a cell, also as ``3.0`` or ``3,0``; 0 for an empty one; ``None`` for anything else.

    >>> [whole_number(text) for text in ("3", " 3.0 ", "3,00", "", "2.5", "-1", "nan", "many")]
    [3, 3, 3, 0, None, None, None, None]
    """
    text = text.strip()
    if not text:
        return 0
    return int(re.split("[.,]", text)[0]) if re.fullmatch(r"[0-9]{1,9}([.,]0*)?", text) else None


def _text(stream: IO[bytes], name: str) -> io.TextIOWrapper:
    start = _peek(stream)
    if start.startswith(b"\x1f\x8b"):
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=stream))
        try:
            start = _peek(stream)
        except BROKEN as error:
            raise DataError(f"{name} cannot be unpacked: {error}.") from error
    if start[257:262] == b"ustar":
        raise DataError(f"{name} is a tar archive, not a table.", hint="Unpack it and give the folder.")
    for signature, what in _FIRST_BYTES.items():
        if start.startswith(signature):
            raise DataError(f"{name} is {what}, not a table in text.", hint="Save it as UTF-8 CSV.")
    encoding = "utf-8-sig"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in start[:64]:
        if not start[1:64:2].strip(b"\0") and b"\0" not in start[0:64:2]:
            encoding = "utf-16-le"
        elif not start[0:64:2].strip(b"\0") and b"\0" not in start[1:64:2]:
            encoding = "utf-16-be"
        else:
            raise DataError(f"{name} is no text, it holds zero bytes.", hint="Save it as UTF-8 CSV.")
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    return io.TextIOWrapper(stream, encoding, errors=errors, newline=None)


def _peek(stream: IO[bytes]) -> bytes:
    peek: Callable[[int], bytes] = stream.peek  # type: ignore[attr-defined]
    return peek(512)[:512]


def _lines(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    """The lines of ``text``, each of them and all together within the limits."""
    left = TABLE_LIMIT
    number = 0
    try:
        while line := text.readline(LINE_LIMIT + 1):
            number += 1
            left -= len(line)
            if len(line) > LINE_LIMIT or left < 0:
                what = f"line {number:,} has more than {LINE_LIMIT:,} characters" if left >= 0 else "more than 4 GiB"
                raise DataError(f"{name} is no table of images and labels: {what}.")
            yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not text: {error}.", hint="Save it as UTF-8 CSV.") from error
    except BROKEN as error:
        raise DataError(f"{name} cannot be read after line {number:,}: {error}.") from error


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
