"""FER2013 (Goodfellow et al. 2013): the csv with pixels, or the folder form passed around on the web.

``fer2013.csv`` has ``emotion,pixels,Usage``; the challenge's ``icml_face_data.csv`` the same columns in another order
and with leading spaces. The folder form is ``train/angry/*.jpg`` and ``test/...`` (both published test sets in one).
Copies of the folder form often hold images that somebody augmented: those are read, but noted in the report.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emolab.datasets.readers.image_folder import places
from emolab.datasets.readers.source import Options, Reader, Source, Survey, named_files, split_of, table_file
from emolab.errors import DataError
from emolab.records import Record
from emolab.taxonomy import canonical

#: Code 0..6 of the csv. Folders sorted by name give another order: never mix the two.
CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
TABLES = frozenset({"fer2013.csv", "icml_face_data.csv"})

#: Images per class in the order of CODES: the published training set, and both test sets together.
PUBLISHED = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "test": (958, 111, 1024, 1774, 1247, 831, 1233),
}
_AUGMENTED = re.compile(r"(^|[^a-z])(aug|augmented|flip|flipped|rot|rotated|clahe|enhanced|copy)([^a-z]|$)", re.I)


@dataclass(frozen=True, slots=True)
class PixelRow:
    """One row of the csv: the code (``None`` in the unlabelled test table), the split, the 2,304 gray values."""

    code: str | None
    split: str | None
    pixels: str


def find_pixels(source: Source) -> str | None:
    """The csv with pixels in ``source``, or ``None``; raises :class:`DataError` when there are several."""
    found = named_files(source, TABLES)
    if len(found) > 1:
        raise DataError(
            f"{source.path} holds several tables with pixels: {', '.join(found)}.",
            hint="They hold the same images; keep one.",
        )
    return found[0] if found else None


def pixel_rows(source: Source, table: str) -> Iterator[PixelRow]:
    """The rows of a csv with pixels inside ``source``."""
    return _rows(source.table(table), table)


def png(pixels: str, table: str, number: int) -> bytes:
    """The 48x48 gray image of one row as PNG; raises :class:`DataError` when there are not 2,304 values of 0..255."""
    from PIL import Image

    try:
        data = bytes(map(int, pixels.split()))
    except ValueError as error:
        raise DataError(f"Row {number} of {table} holds a pixel that is no number from 0 to 255.") from error
    if len(data) != 48 * 48:
        raise DataError(f"Row {number} of {table} has {len(data):,} pixels, expected 2,304.")
    buffer = io.BytesIO()
    Image.frombytes("L", (48, 48), data).save(buffer, "PNG")
    return buffer.getvalue()


def records(path: Path, options: Options) -> Iterator[Record]:  # noqa: ARG001
    """One record with one vote per image."""
    if path.is_file() and path.suffix.lower() == ".csv":
        yield from _from_rows(_rows(table_file(path), path.name), path.name)
        return
    with Source(path) as source:
        if table := find_pixels(source):
            yield from _from_rows(pixel_rows(source, table), table)
        else:
            yield from _from_folders(source)


def survey(path: Path, options: Options) -> Survey:  # noqa: ARG001
    """How many images each class has."""
    if path.is_file() and path.suffix.lower() == ".csv":
        return _count(_rows(table_file(path), path.name), path.name)
    with Source(path) as source:
        if table := find_pixels(source):
            return _count(pixel_rows(source, table), table)
        found = places(source)
    return Survey(len(found), Counter(place.label for place in found))


def _count(rows: Iterator[PixelRow], table: str) -> Survey:
    found = Survey()
    for number, row in enumerate(rows, start=1):
        found.add({_name(row, table, number): 1})
    return found


def _rows(rows: Iterator[list[str]], table: str) -> Iterator[PixelRow]:
    header = [cell.strip().lower() for cell in next(rows, [])]
    if "pixels" not in header or "emotion" not in header:
        raise DataError(
            f"{table} has the columns {', '.join(header) or 'none'}.",
            hint="Expected emotion, pixels and Usage.",
        )
    emotion, pixels = header.index("emotion"), header.index("pixels")
    usage = header.index("usage") if "usage" in header else None
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"Row {number} of {table} has {len(row)} columns, expected {len(header)}.")
        yield PixelRow(row[emotion].strip() or None, split_of(row[usage]) if usage is not None else None, row[pixels])


def _from_rows(rows: Iterator[PixelRow], table: str) -> Iterator[Record]:
    for number, row in enumerate(rows, start=1):
        votes = {_name(row, table, number): 1}
        yield Record(
            key=f"{table}:{number}",
            media=png(row.pixels, table, number),
            votes=votes,
            split=row.split,
            note=f"pixels and labels from {table}",
        )


def _name(row: PixelRow, table: str, number: int) -> str:
    if row.code is None or not row.code.isdecimal() or int(row.code) >= len(CODES):
        raise DataError(f'Row {number} of {table} has the emotion "{row.code or ""}", expected a code from 0 to 6.')
    return CODES[int(row.code)]


def _from_folders(source: Source) -> Iterator[Record]:
    found = places(source)
    counts = Counter((place.split, canonical(place.label)) for place in found)
    crowded: dict[tuple[str | None, str], str] = {
        (
            split,
            name,
        ): f"folder {split}/{name} looks augmented: {counts[split, name]:,} images, published {limit:,}"
        for split, limits in PUBLISHED.items()
        for name, limit in zip(CODES, limits, strict=True)
        if counts[split, name] > limit
    }
    for place in found:
        note = crowded.get((place.split, canonical(place.label)))
        if note is None and _AUGMENTED.search(PurePosixPath(place.name).stem):
            note = "file name looks like an augmented copy"
        yield Record(
            key=place.key,
            media=source.media(place.name),
            votes={place.label: 1},
            split=place.split,
            note=note,
        )


read = Reader(
    stream=records,
    survey=survey,
    supported=CODES,
    licence="images from the web, no clear licence, research use",
)
