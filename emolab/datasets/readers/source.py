"""What every reader stands on: a folder or a zip with one face, and what a reader says about itself."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

from emolab.errors import DataError, UnknownName
from emolab.records import Record

Options = Mapping[str, str]

#: What folders and columns call the three splits.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "fer2013train"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev", "publictest", "fer2013valid"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "privatetest", "fer2013test"), "test"),
}

#: Files that lie beside images without being one.
SIDECARS = frozenset(
    [
        ".csv",
        ".tsv",
        ".txt",
        ".json",
        ".toml",
        ".xml",
        ".yaml",
        ".yml",
        ".md",
        ".html",
        ".pdf",
        ".db",
        ".ini",
        ".zip",
        ".py",
        ".ipynb",
        ".npy",
    ]
)

#: The largest table or image taken out of a zip, in bytes.
MEMBER_LIMIT = 1 << 30

_LFS = "version https://git-lfs.github.com/spec/"

#: What the standard library raises for a member of a zip that is damaged, encrypted or packed in an unknown way.
_BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


@dataclass(slots=True)
class Survey:
    """How many ``records`` there are and how many votes each of the source's own ``labels`` has."""

    records: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, votes: Mapping[str, int]) -> None:
        """Count one record."""
        self.records += 1
        self.labels.update(votes)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader and what it declares; calling it streams the records.

    ``survey`` counts records and the source's own label names without touching the media; ``supported`` names the
    classes the source can show (``None``: the labels that occur), a class outside it is not a negative; ``options``
    maps each accepted option to one line of help (``None``: the reader checks them itself); ``licence`` is what the
    publisher says; ``split`` is the split of records that name none.
    """

    stream: Callable[[Path, Options], Iterator[Record]]
    survey: Callable[[Path, Options], Survey]
    supported: tuple[str, ...] | None = None
    perspective: str = "perceived"
    licence: str | None = None
    split: str | None = None
    options: Mapping[str, str] | None = field(default_factory=dict)

    def __call__(self, path: Path, options: Options) -> Iterator[Record]:
        """The records below ``path``; raises :class:`UnknownName` for an option the reader does not have."""
        self.check(options)
        return self.stream(path, options)

    def check(self, options: Options) -> None:
        """Raise :class:`UnknownName` for an option the reader does not have."""
        known = self.options
        unknown = [name for name in options if known is not None and name not in known]
        if unknown:
            raise UnknownName("reader option", unknown[0], known or ())


def as_reader(function: Callable[[Path, Options], Iterator[Record]]) -> Reader:
    """``function`` itself when it is a :class:`Reader`, else a reader around a plug-in's plain function."""
    if isinstance(function, Reader):
        return function

    def count(path: Path, options: Options) -> Survey:
        found = Survey()
        for record in function(path, options):
            found.add(record.votes)
        return found

    return Reader(stream=function, survey=count, options=None)


class Source(AbstractContextManager["Source"]):
    """A folder or a zip as a tree of relative posix names; never extracts, never leaves the folder.

    ``names`` holds every file in natural byte order, without hidden files and ``__MACOSX``.
    Raises :class:`DataError` when ``path`` is neither a folder nor a readable zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self.names = tuple(sorted(_walk(path)))
        elif zipfile.is_zipfile(path):
            self._zip = zipfile.ZipFile(path)
            self.names = tuple(sorted(n for n in self._zip.namelist() if not n.endswith("/") and _visible(n)))
        elif not path.exists():
            raise DataError(f"{path} does not exist.", hint="Give a folder or a zip in the reader's layout.")
        else:
            raise DataError(f"{path} is neither a folder nor a readable zip.", hint="Unpack it and give the folder.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip is not None:
            self._zip.close()

    def media(self, name: str) -> bytes | Path:
        """The bytes of a member of a zip, or the path of a file; :class:`Damaged` if broken or outside."""
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            return Damaged(f"it lies outside of {self.path.name}")
        if self._zip is None:
            return self.path / name
        try:
            with self._open(name) as stream:
                return stream.read()
        except KeyError:
            return Damaged(f"it is not in {self.path.name}")
        except (*_BROKEN, DataError) as error:
            return Damaged(str(error))

    def table(self, name: str, *, delimiter: str = ",") -> Iterator[list[str]]:
        """The rows of a delimited table (UTF-8, with or without byte order mark), blank rows left out, streamed.

        Raises :class:`DataError` when it is damaged, encrypted, no text or a git-lfs pointer.
        """
        try:
            with self._open(name) as stream:
                yield from rows_of(stream, name, delimiter=delimiter)
        except _BROKEN as error:
            raise DataError(f"{name} in {self.path} cannot be read: {error}.") from error

    def _open(self, name: str) -> IO[bytes]:
        if self._zip is None:
            return (self.path / name).open("rb")
        if self._zip.getinfo(name).file_size > MEMBER_LIMIT:
            raise DataError(f"{name} in {self.path} unpacks to more than 1 GiB; it was not read.")
        return self._zip.open(name)


class Damaged(bytes):
    """The media of a record that cannot be read: no bytes, and the ``reason``."""

    reason: str

    def __new__(cls, reason: str) -> Damaged:
        """No bytes, with the reason."""
        made = super().__new__(cls)
        made.reason = reason
        return made


def table_file(path: Path, *, delimiter: str = ",") -> Iterator[list[str]]:
    """The rows of a table that is a file of its own; raises :class:`DataError` as :meth:`Source.table` does."""
    try:
        with path.open("rb") as stream:
            yield from rows_of(stream, path.name, delimiter=delimiter)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", hint="Give a table, a folder or a zip.") from error


def rows_of(stream: IO[bytes], name: str, *, delimiter: str = ",") -> Iterator[list[str]]:
    """The rows of a delimited table, blank ones left out; raises :class:`DataError` when it is no table in UTF-8."""
    csv.field_size_limit(1 << 24)
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        for row in csv.reader(text, delimiter=delimiter):
            if row and row[0].startswith(_LFS):
                raise DataError(
                    f"{name} is a git-lfs pointer, not the table itself.", hint='Run "git lfs pull" in the clone.'
                )
            if any(cell.strip() for cell in row):
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} is not a table in UTF-8: {error}.", hint="Save it as UTF-8 CSV.") from error


def named_files(source: Source, names: frozenset[str]) -> list[str]:
    """The files of ``source`` whose last part (any case) is in ``names``."""
    return [name for name in source.names if PurePosixPath(name).name.lower() in names]


def images(source: Source) -> list[str]:
    """The files of ``source`` that may be images: everything but known sidecars."""
    return [name for name in source.names if PurePosixPath(name).suffix.lower() not in SIDECARS]


def split_of(word: str) -> str | None:
    """The split a folder or column value names (``Training``, ``val``, ``FER2013Test``), or ``None``."""
    return SPLIT_NAMES.get(word.strip().lower())


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


def _walk(root: Path) -> Iterator[str]:
    # os.walk does not follow links to folders, so a loop of links cannot trap it.
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if _visible(name))
        relative = Path(folder).relative_to(root)
        yield from ((relative / name).as_posix() for name in files if _visible(name))


def _visible(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts) and parts[-1] != "Thumbs.db"
