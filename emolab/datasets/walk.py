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

from emolab.datasets.problems import Problem, reason, shown

_IMAGE_SUFFIXES = """
.apng .avif .avifs .bmp .bw .dds .dib .gif .heic .heif .icns .ico .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx
.mpo .pbm .pcx .pgm .png .pnm .ppm .psd .qoi .rgb .rgba .sgi .tga .tif .tiff .webp .xbm .xpm
"""
_VIDEO_SUFFIXES = ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .webm .wmv"
IMAGES = frozenset(_IMAGE_SUFFIXES.split())
VIDEOS = frozenset(_VIDEO_SUFFIXES.split())

#: Entries of one folder that are listed and sorted at a time: order where it matters, no pause where it is huge.
BLOCK = 10_000

_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")


@dataclass(frozen=True, slots=True)
class Found:
    """A file worth opening: ``kind`` is image, video or zip; ``status`` is what the file system says about it."""

    path: str
    kind: str
    status: os.stat_result


def walk(
    paths: Sequence[str], *, ignored: Counter[str] | None = None, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Found | Problem]:
    """Every image, video and archive below ``paths``: files, folders, or patterns such as ``*/*.jpg``.

    A path that was named is taken whatever it is called; within folders the suffix decides (without one, the first
    bytes), hidden files are passed over, and files of other kinds are counted by suffix in ``ignored``. Links are
    followed, a folder is read once. ``stopped`` is asked before each file.
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
            yield from _until(_one(one, other, folders), stopped)


def kind_of(path: str) -> str | None:
    """``image``, ``video`` or ``zip`` by the suffix of ``path``; ``None`` for any other."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - called once per file
    return "image" if suffix in IMAGES else "video" if suffix in VIDEOS else "zip" if suffix == ".zip" else None


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _until(found: Iterator[Found | Problem], stopped: Callable[[], bool]) -> Iterator[Found | Problem]:
    for each in found:
        if stopped():
            return
        yield each


def _one(path: str, ignored: Counter[str], folders: set[tuple[int, int]]) -> Iterator[Found | Problem]:
    """The file at ``path``, or everything below it when it is a folder."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        yield _unreachable(path, error)
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _folder(path, status, ignored, folders)
    elif stat.S_ISREG(status.st_mode):
        yield Found(path, kind_of(path) or ("zip" if _starts(path, b"PK\x03\x04") else "image"), status)
    else:
        yield Problem(shown(path), "unreadable", "a device or pipe, not a file")


def _folder(
    path: str, status: os.stat_result, ignored: Counter[str], folders: set[tuple[int, int]]
) -> Iterator[Found | Problem]:
    """Everything below the folder ``path``, depth first; ``folders`` holds those that were read already."""
    inode = (status.st_dev, status.st_ino)
    if inode in folders:
        yield Problem(shown(path), "symlink loop", "leads back to a folder that was read already; passed over", True)
        return
    folders.add(inode)
    try:
        with os.scandir(path) as entries:
            visible = (entry for entry in entries if not entry.name.startswith((".", "__MACOSX")))
            while block := sorted(islice(visible, BLOCK), key=lambda entry: entry.name):
                for entry in block:
                    yield from _entry(entry, ignored, folders)
    except OSError as error:
        yield _unreachable(path, error)


def _entry(entry: os.DirEntry[str], ignored: Counter[str], folders: set[tuple[int, int]]) -> Iterator[Found | Problem]:
    try:
        if entry.is_dir():
            yield from _folder(entry.path, entry.stat(), ignored, folders)
            return
        kind = kind_of(entry.name)
        if kind is None and "." not in entry.name and entry.is_file() and _starts(entry.path, *_IMAGE_STARTS):
            kind = "image"
        if kind is None:
            ignored[os.path.splitext(entry.name)[1].lower() or "no suffix"] += 1  # noqa: PTH122
        elif not entry.is_file() and not entry.is_symlink():
            yield Problem(shown(entry.path), "unreadable", "a device or pipe, not a file")
        else:
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                yield Found(entry.path, kind, status)
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
    with open(path, "rb") as stream:  # noqa: PTH123
        return stream.read(8).startswith(signatures)
