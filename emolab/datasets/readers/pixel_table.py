"""The tables of FER2013 that hold faces as text: ``emotion,pixels,Usage``, under the names they go by."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers.reader import ReaderOptions
from emolab.datasets.readers.source import SourceTree, named_files
from emolab.datasets.readers.split_words import SplitWords, split_of
from emolab.datasets.readers.table import Fault, Line, Table, open_table, some_sound
from emolab.errors import DataError

#: Code 0..6 of the csv. Folders sorted by name give another order: never mix the two.
CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
TABLES = frozenset({"fer2013.csv", "icml_face_data.csv"})

SIDE = 48
PIXELS = SIDE * SIDE


@dataclass(frozen=True, slots=True)
class PixelRow:
    """One sound row: its number, the label (a code's name, or the word that stands there), the split, the gray values
    (``PIXELS`` bytes, row by row)."""

    number: int
    label: str
    split: str | None
    pixels: bytes


def find(source: SourceTree) -> list[str]:
    """The tables in ``source`` with faces and labels: one, or one for each split, named after it; none is ``[]``.

    The challenge's ``test.csv``, which has no labels, is none. Raises :class:`DataError` when several hold the same.
    """
    found = named_files(source, TABLES)
    if not found:
        found = [name for name in source.names if _is_table(name) and _holds_faces(source, name)]
    splits = [split_of(_stem(name)) for name in found]
    if len(found) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise DataError(
            f"{source.path} holds several tables with pixels: {', '.join(found)}.",
            hint="They hold the same images; keep one, or give one of them as PATH.",
        )
    return found


def rows(source: SourceTree, table: str, options: ReaderOptions) -> Iterator[PixelRow | Fault]:
    """The rows of a table inside ``source``; raises :class:`DataError` for a table that is another, or all faults."""
    return some_sound(_rows(source.table(table, fits=_fits), SplitWords(options)), table)


def in_file(path: Path, options: ReaderOptions) -> Iterator[PixelRow | Fault]:
    """The rows of a table that is a file of its own; raises as :func:`rows` does."""
    with open_table(path) as stream:
        yield from some_sound(_rows(Table(stream, path.name, fits=_fits), SplitWords(options)), path.name)


def png(pixels: bytes) -> bytes:
    """The 48x48 gray image of one row as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.frombytes("L", (SIDE, SIDE), pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _is_table(name: str) -> bool:
    return name.lower().endswith((".csv", ".tsv", ".csv.gz")) or PurePosixPath(name).name.lower() == "fer2013"


def _stem(table: str) -> str:
    return PurePosixPath(table).name.partition(".")[0]


def _holds_faces(source: SourceTree, name: str) -> bool:
    try:
        return _fits(source.table(name, fits=_fits).header)
    except DataError:
        return False  # whatever it is, it is not this table


def _fits(cells: Sequence[str]) -> bool:
    return {"emotion", "pixels"} <= {cell.strip().lower() for cell in cells}


def _rows(table: Table, words: SplitWords) -> Iterator[PixelRow | Fault]:
    header = [name.lower() for name in table.header]
    if not _fits(header):
        raise _misfit(table)
    emotion, pixels = header.index("emotion"), header.index("pixels")
    usage = header.index("usage") if "usage" in header else None
    named = split_of(_stem(table.name))
    lines = table.rows()
    for line in lines:
        if isinstance(line, Fault):
            yield line
            continue
        split, cell = named, "" if usage is None else line.cells[usage].strip()
        if cell and not words.knows(cell):
            rest = (other.cells[usage or 0].strip() for other in lines if isinstance(other, Line))
            raise words.unknown(f"The column Usage of {table.name}", [cell, *rest])
        if usage is not None:
            split = words.of(cell)
        label, values = _label(line.cells[emotion].strip()), _values(line.cells[pixels])
        if usage is not None and not cell:
            yield Fault(line.number, "has no Usage, which would say its split")
        elif label is None:
            shown = line.cells[emotion].strip()
            yield Fault(line.number, f'has the emotion "{shown[:20]}", expected a code from 0 to 6 or a word')
        elif isinstance(values, str):
            yield Fault(line.number, values)
        else:
            yield PixelRow(line.number, label, split, values)


def _label(text: str) -> str | None:
    """The name of a code such as ``3`` or ``3.0``, a word as it is; ``None`` for another number and for nothing."""
    if re.fullmatch(r"[0-6](\.0*)?", text):
        return CODES[int(text[0])]
    number = re.fullmatch(r"[-+]?[\d.,]+(e[-+]?\d+)?|nan|null|none|-?inf", text, re.IGNORECASE)
    return None if number or not text else text


def _values(text: str) -> bytes | str:
    """The gray values of a row, or what is wrong with them."""
    try:
        values = bytes(map(int, text.split()))
    except ValueError:
        return "holds a pixel that is no number from 0 to 255"
    return values if len(values) == PIXELS else f"has {len(values):,} pixels, expected {PIXELS:,}"


def _misfit(table: Table) -> DataError:
    if any(len(cell) > PIXELS and cell[:100].replace(" ", "").isdigit() for cell in table.header):
        return DataError(
            f"{table.name} has no header: its first row is a face already.",
            hint="Add the first line emotion,pixels,Usage (the columns in their order).",
        )
    names = ", ".join(name[:30] for name in table.header[:10]) or "none"
    return DataError(f"{table.name} has the columns {names}.", hint="Expected emotion, pixels and Usage.")
