"""Votes as CSV, JSON and JSON lines: one row a vote, nothing lost.

A CSV cell cannot tell an empty text from none. So ``shown`` is ``-`` there where the form was known to be empty, and an
empty cell where nothing is known of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from emolab.errors import DataError
from emolab.labeling.exchange.vote_columns import COLUMNS
from emolab.records import NOTHING_SHOWN

_EMPTY_FORM = "-"


def write_csv(stream: IO[str], table: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as CSV, further labels and extra answers as JSON, and return how many rows there were."""
    stream.write(",".join(COLUMNS) + "\n")
    n = 0
    for row in table:
        shown = _EMPTY_FORM if row["shown"] == NOTHING_SHOWN else row["shown"]
        cells = {**row, **as_text(row), "shown": shown}
        stream.write(",".join(_cell(cells[name]) for name in COLUMNS) + "\n")
        n += 1
    return n


def as_text(row: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns of a row that are no single values, as JSON; ``None`` where there is nothing."""
    return {
        name: json.dumps(row[name], sort_keys=True, ensure_ascii=False) if row[name] else None
        for name in ("also", "extra")
    }


def write_json(stream: IO[str], table: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as a JSON list, one row a line, and return how many rows there were."""
    n = 0
    for row in table:
        stream.write(("[\n" if n == 0 else ",\n") + json.dumps(row, ensure_ascii=False))
        n += 1
    stream.write("\n]\n" if n else "[]\n")
    return n


def write_jsonl(stream: IO[str], table: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON, one a line, and return how many rows there were."""
    n = 0
    for row in table:
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        n += 1
    return n


def read_csv(stream: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a CSV with its place; an empty cell is nothing. Raises :class:`DataError` for what is no table."""
    reader = csv.reader(stream, strict=True)
    try:
        head = next(reader, [])
        missing = [name for name in ("sample", "label") if name not in head]
        if missing or len(set(head)) != len(head):
            raise DataError(f"The first line of the CSV names no column {' and '.join(missing) or 'only once'}.")
        for cells in filter(None, reader):
            place = f"Line {reader.line_num}"
            if len(cells) != len(head):
                raise DataError(f"{place} has {len(cells)} cells; the first line names {len(head)} columns.")
            row = {name: cell or None for name, cell in zip(head, cells, strict=True)}
            if row.get("shown") == _EMPTY_FORM:
                row["shown"] = NOTHING_SHOWN
            yield place, row
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} is no CSV: {error}.") from error


def read_jsonl(stream: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of JSON lines with its place. Raises :class:`DataError` for a line that is no object."""
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield f"Line {number}", _object(line, f"Line {number}")


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"{place} is no JSON object.")
    return found


def _cell(value: Any) -> str:
    """A value as a cell, in quotes where a reader would take a part of it for the end of the cell or line."""
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text
