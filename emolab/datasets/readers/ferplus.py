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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from emolab.datasets.readers import pixel_table, split_words
from emolab.datasets.readers.ferplus_protocols import CLASSES, COLUMNS
from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import Damaged, SourceTree, named_files
from emolab.datasets.readers.split_words import SplitWords
from emolab.datasets.readers.table import Fault, Line, some_sound, whole_number
from emolab.errors import DataError
from emolab.records import Record

PER_SPLIT, COMBINED = "label.csv", "fer2013new.csv"


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One sound row: its number, split, image name ("" for none) and the votes that are not 0."""

    number: int
    split: str | None
    image: str
    votes: Mapping[str, int]


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per image, its votes as counts, its note naming the table."""
    words = SplitWords(options)
    with SourceTree(path) as source:
        if _table(source, options) == PER_SPLIT:
            yield from _per_split(source, words)
        elif pixels := pixel_table.find(source):
            yield from _combined_by_row(source, pixels[0], words, options)
        else:
            yield from _combined_by_name(source, words)


def survey(path: Path, options: ReaderOptions) -> Survey:
    """The votes each column holds, over every table that will be read."""
    words = SplitWords(options)
    with SourceTree(path) as source:
        table = _table(source, options)
        tables = named_files(source, frozenset({table}))
        used = {*tables, *(pixel_table.find(source) if table == COMBINED else ())}
        found = Survey(problems=source.problems)
        for name in tables:
            if table == PER_SPLIT:
                _split_of_folder(source, name, words)
                rows, folders = _split_rows(source, name), [PurePosixPath(name).parent]
            else:
                rows = _combined_rows(source, name, words)
                folders = sorted({PurePosixPath(each).parent for each in source.images()})
            for row in rows:
                found.add({} if isinstance(row, Fault) else row.votes)
                if isinstance(row, VoteRow) and row.image:
                    used.update((folder / row.image).as_posix() for folder in folders)
        found.ignored = source.passed_over(used)
    return found


def _table(source: SourceTree, options: ReaderOptions) -> str:
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


def _split_of_folder(source: SourceTree, table: str, words: SplitWords) -> str | None:
    """The split that the folder of a table names, or that the path does where the table lies on top."""
    folder = PurePosixPath(table).parent.name or source.path.resolve().stem
    if not words.knows(folder):
        raise DataError(
            f'{table} of {source.path} lies in "{folder}", which names no split.',
            hint=f"Call the folder FER2013Train, FER2013Valid or FER2013Test, or say it: "
            f"{split_words.example([folder])}",
        )
    return words.of(folder)


def _per_split(source: SourceTree, words: SplitWords) -> Iterator[Record]:
    present = set(source.names)
    for table in named_files(source, frozenset({PER_SPLIT})):
        folder, split = PurePosixPath(table).parent, _split_of_folder(source, table, words)
        rows = list(_split_rows(source, table))
        named = [(folder / row.image).as_posix() for row in rows if isinstance(row, VoteRow)]
        if named and not any(name in present for name in named):
            raise DataError(
                f"{table} of {source.path} lists {len(named):,} images and none of them is beside it.",
                hint=f"Put the images into the folder of {PER_SPLIT}: {named[0]}.",
            )
        for row in rows:
            if isinstance(row, Fault):
                yield _faulty(table, row)
                continue
            media = source.media((folder / row.image).as_posix())
            yield Record(key=row.image, media=media, votes=row.votes, split=split, note=f"votes from {table}")


def _split_rows(source: SourceTree, name: str) -> Iterator[VoteRow | Fault]:
    table = source.table(name, fits=lambda cells: len(cells) == 12, width=12)
    return some_sound((_vote_row(line, line.cells[0], None) if isinstance(line, Line) else line
                       for line in table.rows()), name)  # fmt: skip


def _combined_rows(source: SourceTree, name: str, words: SplitWords) -> Iterator[VoteRow | Fault]:
    return some_sound(_combined(source, name, words), name)


def _combined(source: SourceTree, name: str, words: SplitWords) -> Iterator[VoteRow | Fault]:
    table = source.table(name, fits=_is_header)
    if not _is_header(table.header):
        begins = ", ".join(cell[:30] for cell in table.header[:13])
        raise DataError(f"{name} begins with {begins}.", hint=f"Expected Usage, Image name, {', '.join(COLUMNS)}.")
    lines = table.rows()
    for line in lines:
        if isinstance(line, Fault):
            yield line
            continue
        usage = line.cells[0].strip()
        if usage and not words.knows(usage):
            rest = (other.cells[0].strip() for other in lines if isinstance(other, Line))
            raise words.unknown(f"The column Usage of {name}", [usage, *rest])
        if usage:
            yield _vote_row(line, line.cells[1], words.of(usage))
        else:
            yield Fault(line.number, "has no Usage, which would say its split")


def _is_header(cells: Sequence[str]) -> bool:
    wanted = ("usage", "image name", *(name.lower() for name in COLUMNS))
    return tuple(cell.strip().lower() for cell in cells if cell.strip()) == wanted


def _combined_by_row(source: SourceTree, pixels: str, words: SplitWords, options: ReaderOptions) -> Iterator[Record]:
    table = _only(source)
    pairs = zip_longest(_combined_rows(source, table, words), pixel_table.rows(source, pixels, options))
    for number, (row, face) in enumerate(pairs, start=1):
        if row is None or face is None:
            longer = table if face is None else pixels
            raise DataError(
                f"{table} and {pixels} do not belong together: only {longer} has a row {number}.",
                hint="Both must be the complete published files.",
            )
        if isinstance(row, Fault):
            yield _faulty(table, row)
        elif isinstance(face, Fault):
            yield _faulty(pixels, face)
        else:
            if face.split != row.split:
                raise DataError(
                    f"Row {number} is {row.split} in {table} but {face.split} in {pixels}: the order differs."
                )
            yield Record(
                key=f"{pixels}:{number}",
                media=pixel_table.png(face.pixels),
                votes=row.votes,
                split=row.split,
                note=f"votes from {table}, pixels from {pixels} by row",
            )


def _combined_by_name(source: SourceTree, words: SplitWords) -> Iterator[Record]:
    table = _only(source)
    files = {(words.of(p.parent.name), p.name): n for n in source.images() for p in (PurePosixPath(n),)}
    found = list(_combined_rows(source, table, words))
    rows = {(row.split, row.image): row for row in found if isinstance(row, VoteRow) and row.image}
    there = {split for split, image in rows if (split, image) in files}
    if not there:
        raise DataError(
            f"{table} is there, but neither fer2013.csv nor the images it names.",
            hint="Put fer2013.csv beside it, or the images as FER2013Train/fer0000000.png.",
        )
    for fault in found:
        if isinstance(fault, Fault):
            yield _faulty(table, fault)
    for (split, image), row in rows.items():
        if split in there:
            name = files.get((split, image))
            yield Record(
                key=image,
                media=source.media(name) if name else Damaged(f"it is not in the {split} folder"),
                votes=row.votes,
                split=split,
                note=f"votes from {table}, images by name",
            )


def _faulty(table: str, fault: Fault) -> Record:
    return Record(key=f"{table}:{fault.number}", media=Damaged(fault.reason, "bad row"), votes={})


def _only(source: SourceTree) -> str:
    found = named_files(source, frozenset({COMBINED}))
    if len(found) > 1:
        raise DataError(f"{source.path} holds {len(found)} copies of {COMBINED}: {', '.join(found[:3])}.")
    return found[0]


def _vote_row(line: Line, image: str, split: str | None) -> VoteRow | Fault:
    votes = {}
    for name, text in zip(COLUMNS, line.cells[2:], strict=True):
        count = whole_number(text)
        if count is None:
            return Fault(line.number, f'holds a vote count that is no whole number: "{text[:20]}" for {name}')
        if count:
            votes[name] = count
    return VoteRow(line.number, split, image.strip(), votes)


read = Reader(
    stream=records,
    survey=survey,
    supported=CLASSES,
    licence="labels MIT (c) Microsoft; images from the web (FER2013), research use",
    options={
        "table": f"which published table to read when both are there: {PER_SPLIT} or {COMBINED}",
        split_words.OPTION: split_words.HELP,
    },
)
