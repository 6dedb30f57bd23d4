"""Media files named after their content: ``ab/abcdef....jpg`` below one folder.

A file appears under its name only when it is complete: written beside it, then renamed. Files of up to one page are
written in place, which costs half as much: the kernel takes a page or nothing of it, whenever the process is killed,
so that what an interrupted run leaves is an empty file at worst, which nothing refers to and the next one fills.
A file that is there is compared before it is trusted. Durability comes from one flush per batch, not per file.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

#: What is stored: everything else was turned into one of these.
SUFFIXES = (".png", ".jpg", ".flac", ".txt")

#: Bytes that are written all or none: no more than a page of memory anywhere.
ATOMIC = 4096

_PARTIAL = ".part"
_STALE_SECONDS = 3600


class MediaStore:
    """The media folder of one workspace; safe to use from several threads and processes at once.

    Paths are given relative to ``below``, the workspace's root.
    """

    def __init__(self, folder: Path, *, below: Path) -> None:
        self.folder = folder
        self._relative = folder.relative_to(below).as_posix()
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count()
        self._ready: set[str] = set()
        self._unflushed = False

    def put(self, data: bytes, digest: str, suffix: str) -> str:
        """Where ``data`` lies now, relative to the workspace; ``digest`` is its hex sha256, ``suffix`` ``.jpg`` or so.

        Raises ``OSError`` (disk full, no permission) without leaving a partial file under the final name, only
        perhaps an empty one.
        """
        shard = digest[:2]
        name = f"{shard}/{digest}{suffix}"
        path = f"{self.folder}/{name}"
        if shard not in self._ready:
            (self.folder / shard).mkdir(exist_ok=True)
            self._ready.add(shard)
        self._unflushed = True
        if not (_create(path, data) if len(data) <= ATOMIC else self._move_in(path, data)):
            try:
                with open(path, "rb") as stream:  # noqa: PTH123 - plain strings, once per image
                    same = stream.read() == data
            except PermissionError:
                same = False
            if not same:
                self._move_in(path, data, replace=True)
        return f"{self._relative}/{name}"

    def _move_in(self, path: str, data: bytes, *, replace: bool = False) -> bool:
        """Write ``data`` beside ``path`` and rename it; ``False`` when there is a file and it must stay."""
        if not replace and os.path.exists(path):  # noqa: PTH110 - as above
            return False
        partial = f"{self._incoming}/{os.getpid()}-{threading.get_ident()}-{next(self._numbers)}{_PARTIAL}"
        try:
            _create(partial, data)
            os.replace(partial, path)  # noqa: PTH105 - as above
        except OSError:
            Path(partial).unlink(missing_ok=True)
            raise
        return True

    def has(self, digest: str) -> bool:
        """Whether there is a file with this content."""
        stem = f"{self.folder}/{digest[:2]}/{digest}"
        for suffix in SUFFIXES:
            with suppress(OSError):
                return os.stat(stem + suffix).st_size > 0  # noqa: PTH116 - as above
        return False

    def flush(self) -> None:
        """Make everything put so far survive a power cut; one call to the file system for all files."""
        if self._unflushed:
            self._unflushed = False
            _flush_filesystem(self.folder)

    def sweep(self) -> None:
        """Remove what interrupted runs left half-written; files younger than an hour may be in use."""
        limit = time.time() - _STALE_SECONDS
        for entry in os.scandir(self._incoming):
            if entry.name.endswith(_PARTIAL) and entry.stat().st_mtime < limit:
                Path(entry.path).unlink(missing_ok=True)


def _create(path: str, data: bytes) -> bool:
    """Write a new file; ``False`` when there is one. One that cannot be written is left empty."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except OSError:
        os.ftruncate(descriptor, 0)  # not removed: by now the name may belong to another thread's complete file
        raise
    finally:
        os.close(descriptor)
    return True


def _flush_filesystem(folder: Path) -> None:
    flush = _syncfs()
    if flush is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if flush(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> ctypes._NamedFuncPointer | None:
    """The C library's ``syncfs`` (Linux): flush one file system instead of all."""
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
