"""What every reader stands on: a folder or a zip with one face."""

from __future__ import annotations

import os
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import IO

from emolab.datasets.collect.archive import BROKEN, Archive
from emolab.datasets.collect.walk import walk
from emolab.datasets.file_names import kind_of, suffix_of
from emolab.datasets.readers.table import Table
from emolab.errors import DataError
from emolab.files import LIMIT, open_file
from emolab.modalities.audio.sound_names import SOUNDS
from emolab.modalities.problems import Problem, Refused, shown


class SourceTree(AbstractContextManager["SourceTree"]):
    """A folder or a zip as a tree of relative posix names; never extracts, never leaves the folder.

    ``names`` holds every file in natural byte order, without hidden files and those of tools, which are counted in
    ``ignored``; images that cannot be read are among them. ``problems`` are those of the tree itself: an unsafe name,
    a folder without rights, a loop of links. Raises :class:`DataError` when ``path`` is neither a folder nor a
    readable zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ignored: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self._archive: Archive | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._kinds: dict[str, str] = {}
        self._broken: dict[str, Problem] = {}
        self._folded: dict[str, str | None] | None = None
        if path.is_dir():
            self._read_folder(path)
        elif is_zip(path):
            self._read_zip(path)
        elif not os.path.lexists(path):
            raise DataError(f"{path} does not exist.", hint="Give a folder or a zip in the reader's layout.")
        else:
            raise DataError(f"{path} is neither a folder nor a readable zip.", hint="Unpack it and give the folder.")
        self.names = tuple(sorted(self._kinds))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._archive is not None:
            self._archive.close()

    def images(self) -> list[str]:
        """The names of images, in order; where there are none, those of sounds."""
        found = [name for name in self.names if self._kinds[name] == "media"]
        return found or [name for name in self.names if suffix_of(name) in SOUNDS]

    def passed_over(self, used: Collection[str]) -> Counter[str]:
        """What is not used, by suffix: hidden files and every file of ``names`` that is not in ``used``."""
        left = Counter(suffix_of(name) for name in self.names if name not in used)
        return self.ignored + left

    def find(self, name: str) -> str:
        """The name in the tree that a table means by ``name``: as written, or as Windows or macOS write it.

        A backslash may stand for a slash, and one letter may have another case or Unicode form, where only one file is
        meant by it. ``name`` without ``./`` where there is no such file.
        """
        plain = PurePosixPath(name).as_posix()
        if plain in self._kinds:
            return plain
        slashes = PurePosixPath(name.replace("\\", "/")).as_posix()
        if slashes in self._kinds:
            return slashes
        if self._folded is None:
            self._folded = {}
            for each in self.names:
                key = _fold(each)
                self._folded[key] = None if key in self._folded else each
        return self._folded.get(_fold(slashes)) or (plain if self._archive is None else slashes)

    def media(self, name: str) -> bytes | Path:
        """The bytes of a member of a zip, or the path of a file; :class:`Damaged` if broken or outside."""
        if leads_out(name):
            return Damaged(f"it lies outside of {self.path.name}")
        name = self.find(name)
        if name in self._broken:
            return Damaged(self._broken[name].message, self._broken[name].kind)
        if self._archive is None:
            return on_disk(self.path / name)
        if name not in self._members:
            return Damaged(f"it is not in {self.path.name}")
        try:
            return self._archive.read(self._members[name])
        except Refused as refused:
            return Damaged(refused.message, refused.kind)

    def table(
        self,
        name: str,
        *,
        fits: Callable[[Sequence[str]], bool],
        delimiter: str | None = None,
        width: int | None = None,
    ) -> Table:
        """The table called ``name``, see :class:`Table`; raises :class:`DataError` when it cannot be read."""
        try:
            return Table(self.open(name), name, fits=fits, delimiter=delimiter, width=width)
        except BROKEN as error:
            raise DataError(f"{name} in {self.path} cannot be read: {error}.") from error

    def open(self, name: str) -> IO[bytes]:
        """The file of ``names`` that is called ``name``, for reading; raises what its archive or folder raises."""
        if self._archive is None:
            return open_file(self.path / name)
        return self._archive.open(self._members[name])

    def _read_folder(self, path: Path) -> None:
        root = os.path.join(path, "")  # noqa: PTH118 - what the walk puts before each name
        for found in walk([str(path)], ignored=self.ignored, others=True):
            if isinstance(found, Problem):
                self._problem(found, found.path.removeprefix(shown(root)))
            else:
                self._kinds[found.path.removeprefix(root)] = found.kind

    def _read_zip(self, path: Path) -> None:
        try:
            self._archive = Archive(str(path), max_bytes=LIMIT)
        except Refused as refused:
            raise DataError(f"{path} was not read: {refused.kind}: {refused.message}.") from refused
        for member in self._archive.members(self.ignored):
            if isinstance(member, Problem):
                self._problem(member, member.path.removeprefix(f"{shown(path)}/"))
            else:
                self._kinds[member.name] = member.kind
                self._members[member.name] = member.info

    def _problem(self, problem: Problem, name: str) -> None:
        if problem.taken or problem.kind == "unsafe name" or kind_of(name) != "media":
            self.problems.append(problem)
        else:
            self._kinds[name] = "media"
            self._broken[name] = problem


class Damaged(bytes):
    """The media of a record that cannot be read: no bytes, the ``reason``, and what kind of problem it is."""

    reason: str
    kind: str

    def __new__(cls, reason: str, kind: str = "damaged") -> Damaged:
        """No bytes, with the reason."""
        made = super().__new__(cls)
        made.reason = reason
        made.kind = kind
        return made


def on_disk(path: Path) -> Path | Damaged:
    """``path`` itself, or :class:`Damaged` where something else than a file or folder is there, which may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        return Damaged("a device or pipe, not a file", "unreadable")
    return path


def is_zip(path: Path) -> bool:
    """Whether ``path`` is a file that ends as a zip does; never waits for a pipe or a device."""
    try:
        with open_file(path) as stream:
            return zipfile.is_zipfile(stream)
    except OSError:
        return False


def is_table(path: Path) -> bool:
    """Whether ``path`` is to be read as a table that is a file of its own: neither a folder nor a zip."""
    return os.path.lexists(path) and not path.is_dir() and not is_zip(path)


def leads_out(name: str) -> bool:
    """Whether the path ``name`` of a table is absolute or has ``..`` in it, here or on Windows."""
    windows = PureWindowsPath(name)
    return name.startswith(("/", "\\")) or bool(windows.drive) or ".." in windows.parts


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def named_files(source: SourceTree, names: frozenset[str]) -> list[str]:
    """The files of ``source`` whose last part (any case) is in ``names``."""
    return [name for name in source.names if PurePosixPath(name).name.lower() in names]


def group_rule(option: str | None) -> Callable[[str], str | None]:
    """The function from a relative name to its group, for the option ``group``.

    ``folder`` takes the folder the file lies in; anything else is a regular expression searched in the relative name,
    whose first parenthesis (or whole match) is the group. Raises :class:`DataError` for a broken expression.
    """
    if option is None:
        return lambda _name: None
    if option == "folder":
        return lambda name: str(PurePosixPath(name).parent)
    try:
        pattern = re.compile(option)
    except re.error as error:
        raise DataError(f'group="{option}" is not a regular expression: {error}.') from error

    def find(name: str) -> str | None:
        match = pattern.search(name)
        return None if match is None else match.group(1 if pattern.groups else 0)

    return find
