"""FER2013 (Goodfellow et al. 2013): the csv with pixels, or the folder form passed around on the web.

``fer2013.csv`` has ``emotion,pixels,Usage``; the challenge's ``icml_face_data.csv`` the same columns in another order
and with leading spaces, its ``train.csv`` no ``Usage``. The folder form is ``train/angry/*.jpg`` and ``test/...`` (both
published test sets in one). Copies of the folder form often hold images that somebody augmented: those are read, but
noted in the report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from emolab.datasets.readers import image_folder, pixel_table
from emolab.datasets.readers.image_folder import Place, counted, places
from emolab.datasets.readers.pixel_table import CODES, PixelRow
from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import Damaged, SourceTree, is_table
from emolab.datasets.readers.table import Fault
from emolab.records import Record
from emolab.taxonomy import canonical

#: Images per class in the order of CODES: the published training set, and both test sets together.
PUBLISHED = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "test": (958, 111, 1024, 1774, 1247, 831, 1233),
}
_AUGMENTED = re.compile(r"(^|[^a-z])(aug|augmented|flip|flipped|rot|rotated|clahe|enhanced|copy)([^a-z]|$)", re.I)


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record with one vote per image."""
    if is_table(path):
        yield from _from_rows(pixel_table.in_file(path, options), path.name)
        return
    with SourceTree(path) as source:
        if tables := pixel_table.find(source):
            for table in tables:
                yield from _from_rows(pixel_table.rows(source, table, options), table)
        else:
            yield from _from_folders(source, places(source, options))


def survey(path: Path, options: ReaderOptions) -> Survey:
    """How many images each class has."""
    if is_table(path):
        return _count(Survey(), pixel_table.in_file(path, options))
    with SourceTree(path) as source:
        tables = pixel_table.find(source)
        if not tables:
            return counted(source, places(source, options))
        found = Survey(ignored=source.passed_over(tables), problems=source.problems)
        for table in tables:
            _count(found, pixel_table.rows(source, table, options))
        return found


def _count(found: Survey, rows: Iterator[PixelRow | Fault]) -> Survey:
    for row in rows:
        found.add({} if isinstance(row, Fault) else {row.label: 1})
    return found


def _from_rows(rows: Iterator[PixelRow | Fault], table: str) -> Iterator[Record]:
    for row in rows:
        key = f"{table}:{row.number}"
        if isinstance(row, Fault):
            yield Record(key=key, media=Damaged(row.reason, "bad row"), votes={})
        else:
            yield Record(
                key=key,
                media=pixel_table.png(row.pixels),
                votes={row.label: 1},
                split=row.split,
                note=f"pixels and labels from {table}",
            )


def _from_folders(source: SourceTree, found: list[Place]) -> Iterator[Record]:
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
            group=place.group,
            note=note,
        )


read = Reader(
    stream=records,
    survey=survey,
    supported=CODES,
    licence="images from the web, no clear licence, research use",
    options=image_folder.OPTIONS,
)
