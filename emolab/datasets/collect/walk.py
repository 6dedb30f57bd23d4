"""Which files lie below some paths: a stream that begins at once, survives loops, names every file it cannot take."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from emolab.datasets.file_names import HIDDEN, is_hidden, kind_of, suffix_of, to_be_opened
from emolab.files import open_file
from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.intake import FileNames
from emolab.modalities.problems import Problem, reason, shown

#: Entries of one folder that are listed and sorted at a time: order where it matters, no pause where it is huge.
BLOCK = 10_000


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: ``kind`` is media, recording, video, zip or other; ``status`` is what the file system says about it."""

    path: str
    kind: str
    status: os.stat_result


def walk(
    paths: Sequence[str],
    *,
    files: FileNames = IMAGE_FILES,
    ignored: Counter[str] | None = None,
    others: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[FoundFile | Problem]:
    """Every one of ``files`` and every archive below ``paths``: files, folders, or patterns such as ``*/*.jpg``.

    A path that was named is taken whatever it is called; within folders the suffix decides (where it says nothing,
    the first bytes), and what is passed over is counted in ``ignored``: hidden files and folders, and, unless
    ``others`` wants them, files of other kinds by suffix. Links are followed, a folder is read once. ``stopped`` is
    asked before each file.
    """
    other: Counter[str] = Counter() if ignored is None else ignored
    folders: set[tuple[int, int]] = set()
    for path in paths:
        if not os.path.lexists(path) and glob.has_magic(path):
            matches = glob.iglob(path, recursive=True)  # noqa: PTH207 - absolute patterns too
            first = next(matches, None)
            if first is None:
                yield Problem(shown(path), "not found", "the pattern matches nothing")
                continue
            named: Iterator[str] = _chain(first, matches)
        else:
            named = iter((path,))
        for one in named:
            yield from _until(_one(one, _Walk(other, files=files, others=others, folders=folders)), stopped)


@dataclass(frozen=True, slots=True)
class _Walk:
    """What one walk carries along: what it passes over and looks for, whether others too, the folders it has read."""

    ignored: Counter[str]
    files: FileNames
    others: bool
    folders: set[tuple[int, int]]


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _until(found: Iterator[FoundFile | Problem], stopped: Callable[[], bool]) -> Iterator[FoundFile | Problem]:
    for each in found:
        if stopped():
            return
        yield each


def _one(path: str, on: _Walk) -> Iterator[FoundFile | Problem]:
    """The file at ``path``, or everything below it when it is a folder."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        yield _unreachable(path, error)
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _folder(path, status, on)
    elif stat.S_ISREG(status.st_mode):
        try:
            zipped = kind_of(path, on.files) is None and _starts(path, b"PK\x03\x04")
            yield FoundFile(path, kind_of(path, on.files) or ("zip" if zipped else "media"), status)
        except OSError as error:
            yield _unreachable(path, error)
    else:
        yield Problem(shown(path), "unreadable", "a device or pipe, not a file")


def _folder(path: str, status: os.stat_result, on: _Walk) -> Iterator[FoundFile | Problem]:
    """Everything below the folder ``path``, depth first."""
    inode = (status.st_dev, status.st_ino)
    if inode in on.folders:
        yield Problem(shown(path), "symlink loop", "leads back to a folder that was read already; passed over", True)
        return
    on.folders.add(inode)
    try:
        with os.scandir(path) as entries:
            while block := sorted(islice(entries, BLOCK), key=lambda entry: entry.name):
                for entry in block:
                    if is_hidden(entry.name):
                        on.ignored[HIDDEN] += 1
                    else:
                        yield from _entry(entry, on)
    except OSError as error:
        yield _unreachable(path, error)


def _entry(entry: os.DirEntry[str], on: _Walk) -> Iterator[FoundFile | Problem]:
    try:
        if entry.is_dir():
            yield from _folder(entry.path, entry.stat(), on)
            return
        kind = kind_of(entry.name, on.files)
        unclear = kind is None and entry.is_file() and to_be_opened(entry.name, on.files)
        if unclear and _starts(entry.path, *on.files.starts):
            kind = "media"
        if kind is None and on.others and entry.is_file():
            yield FoundFile(entry.path, "other", entry.stat())
        elif kind is None:
            on.ignored[suffix_of(entry.name)] += 1
        elif not entry.is_file() and not entry.is_symlink():
            yield Problem(shown(entry.path), "unreadable", "a device or pipe, not a file")
        else:
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                yield FoundFile(entry.path, kind, status)
            else:
                yield Problem(shown(entry.path), "unreadable", "a device or pipe, not a file")
    except OSError as error:
        yield _unreachable(entry.path, error)


def _unreachable(path: str, error: OSError) -> Problem:
    if error.errno == errno.ELOOP:
        return Problem(shown(path), "symlink loop", "a link that leads back to itself")
    if error.errno == errno.ENOENT:
        broken = os.path.islink(path)  # noqa: PTH114
        return Problem(
            shown(path), "unreadable" if broken else "not found", "a broken link" if broken else "no such file"
        )
    return Problem(shown(path), "unreadable", reason(error))


def _starts(path: str, *signatures: bytes) -> bool:
    with open_file(path) as stream:
        return stream.read(8).startswith(signatures)
