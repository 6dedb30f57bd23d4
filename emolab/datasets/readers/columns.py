"""What the columns of a table of paths and labels are: by name in any case, by option, and what only looks like one."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from emolab.datasets.file_names import FILE_COLUMNS, kind_of
from emolab.datasets.readers.reader import ReaderOptions
from emolab.datasets.readers.split_words import SplitWords, split_of
from emolab.datasets.readers.table import Fault, Line, Table, whole_number
from emolab.errors import ConfigError, DataError, UnknownName
from emolab.modalities.problems import shown
from emolab.modalities.speaker_columns import SPEAKER_COLUMNS, plain
from emolab.modalities.text.rows import TEXTS

#: Columns besides the sample's own that are named by options of the same name.
NAMES = ("label", "split", "group", "annotator")

#: What else columns with the split are called.
SPLIT_COLUMNS = frozenset(
    ("usage", "set", "subset", "partition", "phase", "fold", "data_split", "dataset_split", "train_test", "is_train",
     "is_test", "istrain", "istest", "split_name")
)  # fmt: skip


class Columns:
    """The columns of ``table``, which lies in the folder ``home``.

    Raises :class:`UnknownName` for one that is needed and not there, and :class:`DataError` where the table has no
    header or it is not clear which split its rows have.
    """

    def __init__(self, table: Table, options: ReaderOptions, words: SplitWords, home: Path) -> None:
        self._table, self._words, self._home = table, words, home
        header = table.header
        counted = _counted(options)
        #: The column of the sentences themselves, where the rows name no files.
        self.sentences = _sentences(header, options)
        what = "path" if self.sentences is None else "sentence"
        asked = {**options, what: self.sentences or options.get("path", "path")}
        self._at: dict[str, int] = {}
        for name in (what, *NAMES):
            if name == "split" and options.get("split") == "":
                continue
            wanted = asked.get(name, name)
            place = _place(header, wanted)
            if place is not None:
                self._at[name] = place
            elif name in options or name == what or (name == "label" and not counted):
                raise _unknown(table, wanted, name)
        self._counts: dict[str, int] = {}
        for name in counted:
            place = _place(header, name)
            if place is None:
                raise _unknown(table, name, "votes")
            self._counts[name] = place
        #: The column that says who it is, where no group is made of it and nothing else was asked for.
        self.speakers: str | None = None
        if not {"group", "group_by"} & set(options):
            taken = {*self._at.values(), *self._counts.values()}
            free = [name for at, name in enumerate(header) if at not in taken and plain(name) in SPEAKER_COLUMNS]
            self.speakers = free[0] if free else None
        self._lines: Iterator[Line | Fault] = table.rows()
        self._by_folder = False
        if "split" not in self._at and options.get("split") != "":
            self._other_splits()

    @staticmethod
    def fit(header: Sequence[str], options: ReaderOptions) -> bool:
        """Whether a table with this header has the columns that are needed."""
        counted = _counted(options)
        what = _sentences([cell.strip() for cell in header], options) or options.get("path", "path")
        needed = [what, *(counted or [options.get("label", "label")])]
        return all(_place([cell.strip() for cell in header], name) is not None for name in needed)

    @property
    def says_split(self) -> bool:
        """Whether the rows say their split, in a column or by a folder in the path."""
        return "split" in self._at or self._by_folder

    def lines(self) -> Iterator[Line | Fault]:
        """The rows, once."""
        yield from self._lines

    def cell(self, line: Line, name: str) -> str | None:
        """What the row says under ``name``; ``None`` where it is empty or there is no such column."""
        return line.cells[self._at[name]].strip() or None if name in self._at else None

    def votes(self, line: Line) -> Mapping[str, int] | Fault:
        """The votes of the row, or why they cannot be used."""
        if not self._counts:
            answer = self.cell(line, "label")
            return {answer: 1} if answer else {}
        votes = {}
        for name, at in self._counts.items():
            count = whole_number(line.cells[at])
            if count is None:
                text = shown(line.cells[at].strip())[:20]
                return Fault(line.number, f'has "{text}" as count of {name}, expected a whole number')
            if count:
                votes[name] = count
        return votes

    def split(self, line: Line, image: str) -> str | None:
        """The split of the row. Raises :class:`DataError` for a word that is none."""
        if self._by_folder:
            found = _folder_split(image, self._home)
            if found is None:
                raise DataError(
                    f"Row {line.number} of {self._table.name} has no split in its path {shown(image)}, rows before it "
                    "have one.",
                    hint='Add a column with the split (-o split=COLUMN), or leave splits out: -o "split="',
                )
            return found
        text = self.cell(line, "split")
        if text is None:
            return None
        if not self._words.knows(text):
            at = self._at["split"]
            rest = (other.cells[at].strip() for other in self._lines if isinstance(other, Line))
            raise self._words.unknown(f"The column {self._table.header[at]} of {self._table.name}", [text, *rest])
        return self._words.of(text)

    def _other_splits(self) -> None:
        """Look for splits that no column called ``split`` gives: nothing that is one may be left out unseen."""
        header = self._table.header
        taken = {*self._at.values(), *self._counts.values()}
        for at, name in enumerate(header):
            if at not in taken and plain(name) in SPLIT_COLUMNS:
                self._at["split"] = at
                return
        looked_at: list[Line | Fault] = []
        first = None
        for line in self._lines:
            looked_at.append(line)
            if isinstance(line, Line):
                first = line
                break
        self._lines = itertools.chain(looked_at, self._lines)
        if first is None:
            return
        for at, text in enumerate(first.cells):
            if at not in taken and split_of(text) is not None:
                raise DataError(
                    f'The column {header[at]} of {self._table.name} holds "{text.strip()}", which is a split.',
                    hint=f'Use it with -o "split={header[at]}", or leave splits out: -o "split="',
                )
        self._by_folder = _folder_split(self.cell(first, "path") or "", self._home) is not None


def _folder_split(path: str, home: Path) -> str | None:
    """The split that exactly one folder of ``path`` names, or ``None``.

    In a whole path the folders that the table's own ``home`` lies in are those of a machine, such as /home/dev.
    """
    folders = PurePosixPath(path.replace("\\", "/")).parts[:-1]
    above = PurePosixPath(home.absolute().as_posix()).parts
    folders = folders[sum(1 for _ in itertools.takewhile(bool, map(operator.eq, folders, above))) :]
    found = [split for folder in folders if (split := split_of(folder)) is not None]
    return found[0] if len(found) == 1 else None


def _sentences(header: Sequence[str], options: ReaderOptions) -> str | None:
    """The column of sentences: the option's, or a usual one where no column may hold names of files.

    Raises :class:`ConfigError` for options that are about paths beside sentences.
    """
    about_paths = [name for name in ("path", "root", "group_by") if name in options]
    if "sentence" in options and about_paths:
        raise ConfigError(f"The rows are sentences and have no paths, which {about_paths[0]} is about.")
    if "sentence" in options or about_paths:
        return options.get("sentence")
    names = {plain(name): name for name in reversed(header)}
    files = names.keys() & {*FILE_COLUMNS}
    return None if files else next((names[name] for name in TEXTS if name in names), None)


def _counted(options: ReaderOptions) -> list[str]:
    return [name.strip() for name in options["votes"].split(",")] if "votes" in options else []


def _place(header: Sequence[str], name: str) -> int | None:
    """Where the column ``name`` is: as written, else the only one that differs in case."""
    if name in header:
        return list(header).index(name)
    same = [at for at, each in enumerate(header) if each.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def _unknown(table: Table, name: str, option: str) -> DataError | UnknownName:
    header = table.header
    if any(kind_of(cell) == "media" for cell in re.split(r"[,;\t|]", ",".join(header))):
        return DataError(
            f"{table.name} has no header: its first row is {shown(', '.join(header))[:80]}.",
            hint="Add a first line with the names of the columns, such as path,label",
        )
    hint = f"Name it with --option {option}=COLUMN."
    if option == "path":
        hint = f"{hint} Where the rows are sentences: --option sentence=COLUMN."
    if len(header) == 1:
        hint = f"The whole line is one column: say what separates them with --option delimiter=SIGN. {hint}"
    return UnknownName(f"column of {table.name}", name, [shown(cell)[:40] for cell in header], hint=hint)
