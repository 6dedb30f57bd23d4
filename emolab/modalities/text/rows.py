"""Sentences of a file: TXT with one a line, CSV or TSV with a column of them, JSON Lines with a key of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from emolab.modalities.problems import Problem, Refused
from emolab.modalities.speaker_columns import SPEAKER_COLUMNS, plain
from emolab.modalities.text.sentence import decoded

#: What the column or key of sentences is called where nobody says, in the order of preference.
TEXTS = ("text", "sentence", "transcript", "utterance", "comment", "tweet", "content", "message", "body")
#: What the column or key of the group is called: sentences of one group are never split.
GROUPS = ("group", *SPEAKER_COLUMNS, "recording", "dialogue_id", "dialog_id", "conversation_id")
TABLES = (".csv", ".tsv")
LINES = (".jsonl", ".ndjson")
SUFFIXES = (".txt", *TABLES, *LINES)
_DELIMITERS = (",", ";", "\t", "|")
_CELL_LIMIT = 1 << 24


@dataclass(frozen=True, slots=True)
class TextRow:
    """One sentence as written in its file: ``number`` counts lines, or rows below the header, from 1."""

    number: int
    text: str
    group: str | None = None


def text_rows(data: bytes, name: str, *, column: str | None = None) -> Iterator[TextRow | Problem]:
    """The sentences of the file ``name`` with the bytes ``data``; a row that cannot be read is a :class:`Problem`.

    The suffix says what the file is, any other than :data:`SUFFIXES` is read as TXT. ``column`` names the column or
    key of sentences [the first of :data:`TEXTS`]. Blank lines are passed over. Raises :class:`Refused` for a file
    that is no text, or has no such column or key in any row.
    """
    text = decoded(data)
    suffix = PurePath(name).suffix.lower()
    if suffix in TABLES:
        yield from _table(text, name, column, tabs=suffix == ".tsv")
    elif suffix in LINES:
        yield from _objects(text, name, column)
    else:
        for number, line in enumerate(_lines(text), 1):
            if line.strip():
                yield TextRow(number, line)


def _lines(text: str) -> Iterator[str]:
    """Lines as editors count them: a form feed or a Unicode separator ends none."""
    return (line.rstrip("\n") for line in io.StringIO(text, newline=None))


def _table(text: str, name: str, column: str | None, *, tabs: bool) -> Iterator[TextRow | Problem]:
    usual = ("\t", *_DELIMITERS) if tabs else _DELIMITERS
    first = next((line for line in _lines(text) if line.strip()), "")
    delimiter = next((each for each in usual if _place(_cells(first, each), column) is not None), usual[0])
    csv.field_size_limit(_CELL_LIMIT)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    header = next((row for row in rows if any(cell.strip() for cell in row)), [])
    place, group = _place(header, column), _place(header, None, known=GROUPS)
    if place is None:
        raise _without(f"its columns are {', '.join(cell.strip() for cell in header)[:200]}", column)
    number = 0
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            number += 1
            if len(row) != len(header):
                yield Problem(f"{name}#{number}", "broken row", f"{len(row)} columns, expected {len(header)}")
            elif row[place].strip():
                yield TextRow(number, row[place], (row[group].strip() or None) if group is not None else None)
            else:
                yield Problem(f"{name}#{number}", "empty", "no letter or sign in it")
    except csv.Error as error:
        yield Problem(f"{name}#{number + 1}", "broken row", f"{error}; nothing below it was read")


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _place(header: Sequence[str], column: str | None, *, known: Sequence[str] = TEXTS) -> int | None:
    """Where in ``header`` the column is: the one called ``column``, or the first of ``known``; ``None`` without."""
    names = [plain(cell) for cell in header]
    wanted = known if column is None else (plain(column),)
    return next((names.index(name) for name in wanted if name in names), None)


def _objects(text: str, name: str, column: str | None) -> Iterator[TextRow | Problem]:
    held: list[Problem] = []
    sound = False
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        found = _object(number, line, name, column)
        sound = sound or isinstance(found, TextRow)
        if sound:
            yield from held
            held.clear()
            yield found
        else:
            held.append(found)  # type: ignore[arg-type]
    if held:
        raise _without(f"none of its {len(held):,} lines has one; line 1: {held[0].message}", column)


def _object(number: int, line: str, name: str, column: str | None) -> TextRow | Problem:
    where = f"{name}#{number}"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem(where, "broken row", f"not JSON: {getattr(error, 'msg', 'nested too deeply')}")
    if not isinstance(found, dict):
        return Problem(where, "broken row", "expected an object in braces")
    keys = list(found)
    place, group = _place(keys, column), _place(keys, None, known=GROUPS)
    if place is None:
        return Problem(where, "broken row", f"its keys are {', '.join(keys)[:200] or 'none'}")
    text = found[keys[place]]
    if not isinstance(text, str):
        return Problem(where, "broken row", f'"{keys[place]}" is no text in quotes')
    if not text.strip():
        return Problem(where, "empty", "no letter or sign in it")
    whose = None if group is None else found[keys[group]]
    return TextRow(number, text, str(whose) if isinstance(whose, str | int) and str(whose).strip() else None)


def _without(there: str, column: str | None) -> Refused:
    wanted = f'"{column}"' if column else "one of " + ", ".join(TEXTS)
    return Refused("no sentences", f"expected a column or key called {wanted}; {there}")
