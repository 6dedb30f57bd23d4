"""FER+ (Barsoum et al. 2016, arXiv 1608.01041): 48x48 faces with the votes of ten people, kept as counts.

Two tables were published and they differ for 1,602 images, so every record notes the one it was read from:

``label.csv``
    one per split folder (``FER2013Train/label.csv``), no header: name, box, ten counts; joined to images by name.
``fer2013new.csv``
    one for all splits, with header; joined to ``fer2013.csv`` by row, or to images in split folders by name. The
    number in a name is no row number. Where one split uses a name twice, the last row is the one whose image the
    published script left on disk. Rows without a name (173, not a face) have an image only when joined by row.

The published protocols are pure functions of the votes: :func:`majority`, :func:`crossentropy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from emolab.datasets.readers.fer2013 import PixelRow, find_pixels, pixel_rows, png
from emolab.datasets.readers.source import Damaged, Options, Reader, Source, Survey, named_files, split_of
from emolab.errors import DataError
from emolab.records import Record

#: The ten columns of both tables, in their order; the last two are no emotions.
COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
CLASSES = COLUMNS[:8]
PER_SPLIT, COMBINED = "label.csv", "fer2013new.csv"


def majority(votes: Mapping[str, int]) -> str | None:
    """The emotion that wins by the "majority" protocol of the paper, or ``None`` when the image is dropped.

    Single votes are zeroed as outliers; the winner needs more than half of the votes that remain; images won by
    ``unknown`` or ``NF`` are dropped.

    >>> majority({"anger": 6, "disgust": 3, "NF": 1})
    'anger'
    >>> majority({"anger": 5, "disgust": 5}) is None
    True
    """
    left = _without_single_votes(votes)
    winner = max(left, key=lambda name: left[name], default=None)
    if winner not in CLASSES or 2 * left[winner] <= sum(left.values()):
        return None
    return winner


def crossentropy(votes: Mapping[str, int]) -> dict[str, float] | None:
    """The distribution of the "crossentropy" and "probability" protocols, or ``None`` when the image is dropped.

    After zeroing single votes, the names with the most votes are taken, ties together and in column order, until they
    hold three quarters of the votes, or three names are taken, or ``unknown`` or ``NF`` is reached. The image is
    dropped when those hold half of the votes or less, when ties brought in a fourth name, or when ``unknown`` or
    ``NF`` comes first. Shares sum to 1.
    """
    left = _without_single_votes(votes)
    total = sum(left.values())
    taken: dict[str, int] = {}
    while left and sum(taken.values()) < 0.75 * total and len(taken) < 3:
        most = max(left.values())
        tied = [name for name in COLUMNS if left.get(name) == most]
        emotions = [name for name in tied if name in CLASSES]
        taken.update({name: left.pop(name) for name in emotions})
        if len(emotions) < len(tied):
            break
    kept = sum(taken.values())
    if not taken or kept <= 0.5 * total or len(taken) > 3:
        return None
    return {name: count / kept for name, count in taken.items()}


def records(path: Path, options: Options) -> Iterator[Record]:
    """One record per image, its votes as counts, its note naming the table."""
    with Source(path) as source:
        if _table(source, options) == PER_SPLIT:
            yield from _per_split(source)
        elif pixels := find_pixels(source):
            yield from _combined_by_row(source, pixels)
        else:
            yield from _combined_by_name(source)


def survey(path: Path, options: Options) -> Survey:
    """The votes each column holds, over every table that will be read."""
    found = Survey()
    with Source(path) as source:
        table = _table(source, options)
        for name in named_files(source, frozenset({table})):
            rows = _split_rows(source, name) if table == PER_SPLIT else _combined_rows(source, name)
            for _, _, votes in rows:
                found.add(votes)
    return found


def _table(source: Source, options: Options) -> str:
    found = [name for name in (PER_SPLIT, COMBINED) if named_files(source, frozenset({name}))]
    wanted = options.get("table")
    if wanted is not None:
        if wanted not in found:
            raise DataError(f"{source.path} has no {wanted}.", hint=f"Found: {', '.join(found) or 'no table'}.")
        return wanted
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{source.path} holds both tables of FER+, and they differ for 1,602 images.",
            hint=f"Choose one: --option table={PER_SPLIT} (what most papers report on) or --option table={COMBINED}.",
        )
    raise DataError(
        f"{source.path} has no FER+ table.",
        hint=f"Expected FER2013Train/{PER_SPLIT} beside the images, or {COMBINED} with fer2013.csv.",
    )


def _per_split(source: Source) -> Iterator[Record]:
    present = set(source.names)
    for table in named_files(source, frozenset({PER_SPLIT})):
        folder = PurePosixPath(table).parent
        split = split_of(folder.name or source.path.stem)
        rows = [((folder / image).as_posix(), image, votes) for _, image, votes in _split_rows(source, table)]
        if rows and not any(name in present for name, _, _ in rows):
            raise DataError(
                f"{table} of {source.path} lists {len(rows):,} images and none of them is beside it.",
                hint=f"Put the images into the folder of {PER_SPLIT}: {rows[0][0]}.",
            )
        for name, image, votes in rows:
            yield Record(key=image, media=source.media(name), votes=votes, split=split, note=f"votes from {table}")


def _split_rows(source: Source, table: str) -> Iterator[tuple[str | None, str, dict[str, int]]]:
    for number, row in enumerate(source.table(table), start=1):
        if len(row) != 12:
            raise DataError(f"Row {number} of {table} has {len(row)} columns, expected name, box and ten counts.")
        yield None, row[0].strip(), _votes(row[2:], table, number)


def _combined_rows(source: Source, table: str) -> Iterator[tuple[str | None, str, dict[str, int]]]:
    rows = source.table(table)
    header = [cell.strip() for cell in next(rows, [])]
    if header != ["Usage", "Image name", *COLUMNS]:
        raise DataError(f"{table} begins with {', '.join(header)}.", hint=f"Expected Usage, Image name, {COLUMNS}.")
    for number, row in enumerate(rows, start=1):
        if len(row) != 12:
            raise DataError(f"Row {number} of {table} has {len(row)} columns, expected 12.")
        yield split_of(row[0]), row[1].strip(), _votes(row[2:], table, number)


def _combined_by_row(source: Source, pixels: str) -> Iterator[Record]:
    table = _only(source)
    pairs = zip_longest(_combined_rows(source, table), pixel_rows(source, pixels))
    for number, (row, pixel) in enumerate(pairs, start=1):
        if row is None or pixel is None:
            longer = table if pixel is None else pixels
            raise DataError(
                f"{table} and {pixels} do not belong together: only {longer} has a row {number}.",
                hint="Both must be the complete published files.",
            )
        split, _, votes = row
        face: PixelRow = pixel
        if face.split != split:
            raise DataError(f"Row {number} is {split} in {table} but {face.split} in {pixels}: the order differs.")
        yield Record(
            key=f"{pixels}:{number}",
            media=png(face.pixels, pixels, number),
            votes=votes,
            split=split,
            note=f"votes from {table}, pixels from {pixels} by row",
        )


def _combined_by_name(source: Source) -> Iterator[Record]:
    table = _only(source)
    files = {(split_of(p.parent.name), p.name): n for n in source.names if (p := PurePosixPath(n)).suffix == ".png"}
    rows = {(split, image): votes for split, image, votes in _combined_rows(source, table) if image}
    there = {split for split, image in rows if (split, image) in files}
    if not there:
        raise DataError(
            f"{table} is there, but neither fer2013.csv nor the images it names.",
            hint="Put fer2013.csv beside it, or the images as FER2013Train/fer0000000.png.",
        )
    for (split, image), votes in rows.items():
        if split in there:
            name = files.get((split, image))
            yield Record(
                key=image,
                media=source.media(name) if name else Damaged(f"it is not in the {split} folder"),
                votes=votes,
                split=split,
                note=f"votes from {table}, images by name",
            )


def _only(source: Source) -> str:
    found = named_files(source, frozenset({COMBINED}))
    if len(found) > 1:
        raise DataError(f"{source.path} holds {len(found)} copies of {COMBINED}: {', '.join(found[:3])}.")
    return found[0]


def _votes(cells: list[str], table: str, number: int) -> dict[str, int]:
    try:
        counts = [int(cell) for cell in cells]
    except ValueError as error:
        raise DataError(f"Row {number} of {table} holds a vote count that is no whole number: {cells}.") from error
    return {name: count for name, count in zip(COLUMNS, counts, strict=True) if count}


def _without_single_votes(votes: Mapping[str, int]) -> dict[str, int]:
    return {name: votes[name] for name in COLUMNS if votes.get(name, 0) > 1}


read = Reader(
    stream=records,
    survey=survey,
    supported=CLASSES,
    licence="labels MIT (c) Microsoft; images from the web (FER2013), research use",
    options={"table": f"which published table to read when both are there: {PER_SPLIT} or {COMBINED}"},
)
