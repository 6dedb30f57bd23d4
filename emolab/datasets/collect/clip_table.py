"""Clips by a table: recordings in one column, where each clip begins and ends (seconds) in two others.

Every recording is read once, from its beginning to its end, however many rows it has. A row that makes no sense is
one line of the report; the others go through.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emolab.datasets.collect.grouping import TABLES, Grouping, relative
from emolab.datasets.collect.ingest import Entry, Item, Whole
from emolab.datasets.file_names import FILE_COLUMNS
from emolab.datasets.readers.table import Fault, Line, Table, open_table
from emolab.errors import DataError
from emolab.modalities.audio.reading.excerpts import excerpts
from emolab.modalities.intake import Excerpt, FileNames
from emolab.modalities.problems import Problem, Refused, reason, shown
from emolab.modalities.speaker_columns import SPEAKER_COLUMNS, plain

#: What the columns of the two times are called.
BEGINS = ("start", "begin", "onset", "start_time", "start_seconds")
ENDS = ("end", "stop", "end_time", "end_seconds")
#: Seconds of the longest clip, because a label belongs to the whole of it.
LONGEST = 600.0


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    begin: float
    end: float
    speaker: str | None


@dataclass(slots=True)
class ClipTable:
    """The rows of the table at ``path``, by recording, and what is wrong with the others.

    Raises :class:`Refused` for what is no such table. Files are named relative to the table's own folder.
    """

    path: Path
    recordings: dict[str, list[_Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            with open_table(self.path) as stream:
                table = Table(stream, shown(self.path), fits=lambda header: None not in _places(header)[:3])
                file, begin, end, speaker = _places(table.header)
                if file is None or begin is None or end is None:
                    raise Refused(
                        "no table of clips",
                        f"it needs the columns {FILE_COLUMNS[1]}, {BEGINS[0]} and {ENDS[0]} (seconds), and has "
                        f"{', '.join(table.header) or 'none'}",
                    )
                for row in table.rows():
                    self._take(row, file, (begin, end), speaker, comma=table.delimiter != ",")
        except DataError as error:
            raise Refused("no table of clips", str(error)) from error

    def _take(self, row: Line | Fault, file: int, times: tuple[int, int], speaker: int | None, *, comma: bool) -> None:
        if isinstance(row, Fault):
            self._bad(row.number, row.reason)
            return
        name = row.cells[file].strip()
        begin, end = (_seconds(row.cells[place], comma=comma) for place in times)
        wrong = next(
            (row.cells[place].strip() for place, x in zip(times, (begin, end), strict=True) if x is None), None
        )
        if not name:
            self._bad(row.number, "names no file")
        elif begin is None or end is None:
            self._bad(row.number, f'has "{(wrong or "")[:40]}" where a number of seconds belongs')
        elif begin < 0:
            self._bad(row.number, f"begins at {begin:g} s, before its recording")
        elif end <= begin:
            self._bad(row.number, f"ends at {end:g} s and begins at {begin:g} s")
        elif end - begin > LONGEST:
            self._bad(row.number, f"is {end - begin:,.0f} s long; a clip may last {LONGEST:g} s")
        else:
            who = None if speaker is None else row.cells[speaker].strip() or None
            self.recordings.setdefault(name, []).append(_Row(row.number, begin, end, who))

    def _bad(self, number: int, message: str) -> None:
        self.problems.append(Problem(shown(self.path), "bad row", f"row {number} {message}"))

    def __len__(self) -> int:
        return len(self.problems) + sum(map(len, self.recordings.values()))


def is_clip_table(path: str, files: FileNames) -> bool:
    """Whether the file ``path``, which was named, is read as a table of clips."""
    return files.clip_tables and path.lower().endswith(TABLES)


def count(path: Path) -> int:
    """How many inputs the table at ``path`` is: its rows, or one where it is none."""
    try:
        return max(1, len(ClipTable(path)))
    except Refused:
        return 1


def entries(
    path: Path,
    grouping: Grouping,
    *,
    base: Path,
    consent: str | None,
    max_bytes: int,
    stopped: Callable[[], bool],
) -> Iterator[Entry]:
    """The clips that the table at ``path`` names, and a problem for each row that cannot be one.

    Their group is that of ``grouping``, else the column that says who speaks, else the recording, named relative to
    ``base``.
    """
    try:
        table = ClipTable(path)
    except Refused as refused:
        yield refused.at(shown(path))
        return
    yield from table.problems
    for name, rows in table.recordings.items():
        if stopped():
            return
        media = Path(os.path.normpath(path.parent / name))
        try:
            status, group = media.stat(), grouping.group(shown(media))
            if status.st_size > max_bytes:
                raise Refused("too large", f"{status.st_size:,} bytes; the limit is {max_bytes:,} (collect.max_bytes)")
        except OSError as error:
            yield Problem(shown(media), "unreadable", f"{reason(error)}; {len(rows):,} rows of {shown(path)} name it")
        except (Refused, ValueError) as error:
            yield (error if isinstance(error, Refused) else Refused("unreadable", str(error))).at(shown(media))
        else:
            stamp = f"{media.absolute()}|{status.st_size}|{status.st_mtime_ns}"
            groups = [group or row.speaker or relative(shown(media), base) for row in rows]
            marks = "|".join(f"{row.begin!r}-{row.end!r}" for row in rows)
            made = _clips(media, rows, groups, stamp=stamp, consent=consent, table=shown(path), stopped=stopped)
            yield Whole(shown(media), f"{stamp}|{marks}", made)
            yield from grouping.notes(shown(media))


def _clips(
    media: Path,
    rows: Sequence[_Row],
    groups: Sequence[str],
    *,
    stamp: str,
    consent: str | None,
    table: str,
    stopped: Callable[[], bool],
) -> Iterator[Item | Problem]:
    """The clips of one recording in order of their ends."""
    name, notes, done = shown(media), list[str](), 0
    try:
        for place, made in excerpts(media, [(row.begin, row.end) for row in rows], notes):
            done += 1
            if stopped():
                yield Problem(name, "stopped", "not read to its end; run the same command again", taken=False)
                return
            row = rows[place]
            if isinstance(made, Excerpt):
                mark = f"{stamp}|{row.begin!r}-{row.end!r}"
                yield Item(data=made, name=name, stamp=mark, consent=consent, group=groups[place][-255:])
            else:
                yield Problem(table, made.kind, f"row {row.number}: {made.message}")
    except Refused as refused:
        rest = f"; {len(rows) - done:,} of {len(rows):,} rows are left" if done else ""
        yield Problem(name, refused.kind, f"{refused.message}{rest}")
    yield from (Problem(name, "sound track" if "track" in note else "channels", note, taken=True) for note in notes)


def _places(header: Sequence[str]) -> tuple[int | None, int | None, int | None, int | None]:
    """Where the columns of the file, the beginning, the end and the speaker are."""
    names = [plain(cell) for cell in header]
    speakers = ("group", *SPEAKER_COLUMNS)
    file, begin, end, speaker = (
        next((names.index(name) for name in wanted if name in names), None)
        for wanted in (FILE_COLUMNS, BEGINS, ENDS, speakers)
    )
    return file, begin, end, speaker


def _seconds(cell: str, *, comma: bool) -> float | None:
    """The seconds in a cell; ``None`` for what is no number, or an infinite one.

    A decimal ``comma`` is read where cells are not divided by commas; elsewhere "1,000" might mean a thousand.

    >>> [_seconds(text, comma=True) for text in ("1.5", " 2,25 ", "nan", "inf", "0:05", "", "1_0")]
    [1.5, 2.25, None, None, None, None, None]
    >>> _seconds("1,000", comma=False) is None
    True
    """
    try:
        value = float(cell.strip().replace(",", "." if comma else ",").replace("_", "?"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
