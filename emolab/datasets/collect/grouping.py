"""Which group an input is in: what must never stand in training and validation at once, such as a person.

The folder it lies in, what a regular expression finds in its path, or a row of a table. A table names files by the end
of their path, so ``actor_1/a.wav`` fits ``/data/actor_1/a.wav``. A row that fits files in two places says nothing
certain about either: the second one is left out and listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Protocol

from emolab.datasets.file_names import FILE_COLUMNS
from emolab.datasets.readers.table import Fault, Line, Table, open_table
from emolab.errors import ConfigError, DataError
from emolab.modalities.problems import Problem, Refused
from emolab.modalities.speaker_columns import SPEAKER_COLUMNS, plain

#: What the catalog's column holds; of longer names the end is kept.
LENGTH = 255
#: How a table of groups may end.
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
#: The group may be called by anything that says who it is.
_GROUPS = ("group", *SPEAKER_COLUMNS)


class Grouping(Protocol):
    """What finds the group of an input."""

    def group(self, name: str) -> str | None:
        """The group of the input called ``name``, ``None`` where it has none.

        Raises :class:`Refused` where it cannot be told.
        """
        ...

    def notes(self, name: str) -> Iterator[Problem]:
        """What is to be known about the group of ``name``, which went in."""
        ...

    def rest(self) -> Iterator[Problem]:
        """What is to be known at the end."""
        ...


def open_grouping(group_by: str | None, base: Path) -> Grouping:
    """What ``group_by`` means: ``None``, ``folder``, the path of a table, or a regular expression.

    Folders are named relative to ``base``. Raises :class:`ConfigError` for what is none of these, :class:`DataError`
    for a table that cannot be read or has no columns of files and groups.
    """
    if group_by is not None and group_by.lower().endswith(TABLES):
        return _ByTable(Path(group_by))
    return _ByPath(group_by, base)


class _ByPath:
    """By the folder or by a regular expression."""

    def __init__(self, group_by: str | None, base: Path) -> None:
        self._folder, self._base = group_by == "folder", base
        try:
            self._pattern = None if group_by is None or self._folder else re.compile(group_by)
        except re.error as error:
            raise ConfigError(
                f'--group-by "{group_by}" is neither "folder", a table nor a regular expression: {error}.',
                hint=r"Example for subject_07/smile.jpg: --group-by 'subject_(\d+)'",
            ) from error

    def group(self, name: str) -> str | None:
        if self._folder:
            return relative(os.path.dirname(name), self._base)  # noqa: PTH120 - text, once per file
        found = None if self._pattern is None else self._pattern.search(name)
        if found is None:
            return None
        return (found.group(1) if found.re.groups else found.group())[-LENGTH:]

    def notes(self, name: str) -> Iterator[Problem]:
        del name
        yield from ()

    def rest(self) -> Iterator[Problem]:
        yield from ()


class _ByTable:
    """By a table with a column of files and one of groups."""

    def __init__(self, path: Path) -> None:
        self._table = str(path)
        self._groups: dict[str, str] = {}
        #: The first input that each row was found for.
        self._used: dict[str, str] = {}
        self._faults: list[str] = []
        with open_table(path) as stream:
            table = Table(stream, self._table, fits=lambda header: None not in _places(header))
            files, groups = _places(table.header)
            if files is None or groups is None:
                raise DataError(
                    f"{path} has no column of {'files' if files is None else 'groups'}: {', '.join(table.header)}.",
                    hint=f"Call them {FILE_COLUMNS[0]} and {_GROUPS[0]}, or speaker.",
                )
            for row in table.rows():
                self._take(row, files, groups)
        if not self._groups:
            raise DataError(f"{path} names no file with a group.", hint="Each row has a file and its group.")

    def _take(self, row: Line | Fault, files: int, groups: int) -> None:
        if isinstance(row, Fault):
            self._faults.append(f"row {row.number} {row.reason}")
            return
        key, group = _parts(row.cells[files].strip()), row.cells[groups].strip()[-LENGTH:]
        if not key or not group:
            self._faults.append(f"row {row.number} has no {'group' if key else 'file'}")
        elif self._groups.setdefault(key, group) != group:
            raise DataError(
                f"{self._table} has {row.cells[files].strip()} in two groups: {self._groups[key]} and {group}.",
                hint="A file is in one group. Correct the table and collect again.",
            )

    def group(self, name: str) -> str | None:
        key = self._key(name)
        if key is None:
            return None
        first = self._used.setdefault(key, name)
        if first != name:
            raise Refused("group unclear", f"the row {key} of {self._table} fits {first} too; write more of the path")
        return self._groups[key]

    def notes(self, name: str) -> Iterator[Problem]:
        if self._key(name) is None:
            yield Problem(name, "no group", f"{self._table} has no row for it; it went in all the same", taken=True)

    def rest(self) -> Iterator[Problem]:
        unused = [key for key in self._groups if key not in self._used]
        if unused:
            some = ", ".join(unused[:3]) + (" ..." if len(unused) > 3 else "")
            yield Problem(self._table, "rows without a file", f"{len(unused):,}: {some}", taken=True)
        for fault in self._faults:
            yield Problem(self._table, "broken row", fault, taken=True)

    def _key(self, name: str) -> str | None:
        """The row for ``name``: of those that are an end of its path the longest."""
        parts = _parts(name).split("/")
        ends = ("/".join(parts[begin:]) for begin in range(len(parts)))
        return next((end for end in ends if end in self._groups), None)


def relative(path: str, base: Path) -> str:
    """``path`` seen from ``base``, as long as the catalog keeps."""
    return os.path.relpath(path, base)[-LENGTH:]


def _places(header: Sequence[str]) -> tuple[int | None, int | None]:
    """Where the columns of files and of groups are."""
    names = [plain(cell) for cell in header]
    files = next((names.index(name) for name in FILE_COLUMNS if name in names), None)
    groups = next((names.index(name) for name in _GROUPS if name in names), None)
    return files, groups


def _parts(path: str) -> str:
    """``path`` with slashes, without what says "here" or where it begins."""
    parts = PureWindowsPath(path).parts if "\\" in path else path.split("/")
    return "/".join(part.strip("\\/") for part in parts if part.strip("\\/") not in ("", "."))
