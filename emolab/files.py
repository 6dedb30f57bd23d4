"""Files: reading what anybody may have put there, up to a limit; writing whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from emolab.errors import DataError

#: The largest image or table that is read where no setting says otherwise (``collect.max_bytes``).
LIMIT = 512 << 20

_PIECE = 1 << 20

#: A text in JSON, or its start at the end of a line.
_TEXT = re.compile(rb'"(?:\\.|[^"\\])*(?:"|\\?$)')


class TooLarge(Exception):
    """A file holds more than ``limit`` bytes, which is all that may be read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit >> 20} MiB" if limit >= 1 << 20 else f"more than {limit:,} bytes")
        self.limit = limit


def open_file(path: Path | str) -> BinaryIO:
    """The file at ``path``, opened for reading; devices, pipes and sockets are refused before anything is read.

    Raises :class:`OSError`, whose ``strerror`` says so for what is no file. Never waits for somebody to write.
    """
    descriptor, _ = _open(path)
    return os.fdopen(descriptor, "rb")


def read_file(path: Path | str, *, limit: int = LIMIT) -> bytes:
    """The bytes of the file at ``path``; raises :class:`TooLarge` beyond ``limit`` bytes, else :class:`OSError`.

    The limit holds for what is read: a file that grows, or one of which the system says 0 bytes and that never ends.
    """
    descriptor, size = _open(path)
    try:
        if size > limit:
            raise TooLarge(limit)
        data = os.read(descriptor, size + 1)  # half the system calls of a Python stream
        if len(data) == size:
            return data
        parts, held = [data], len(data)
        while part := os.read(descriptor, _PIECE):
            parts.append(part)
            held += len(part)
            if held > limit:
                raise TooLarge(limit)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def _open(path: Path | str) -> tuple[int, int]:
    """A descriptor of the file at ``path`` and its size in bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:  # what the system says of a socket
            raise _no_file(path) from error
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def _no_file(path: Path | str) -> OSError:
    return OSError(errno.EINVAL, "a device or pipe, not a file", str(path))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees the old file or the new one, never a part of it."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write ``data`` to ``path`` atomically, through a file beside it, flushed to disk.

    Both have the permissions ``mode``, less those the process takes away, from their first moment on.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write into, which takes its place at the end; after an error the old one stays.

    Raises :class:`DataError` where it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            yield part
            part.replace(path)
        finally:
            with suppress(NotADirectoryError):
                part.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def append_line(path: Path, line: str) -> None:
    """Add ``line`` to the file at ``path``, which is made if missing; when this returns it is on the disk.

    Half a line, of a write that was cut off, gets its end first.
    """
    with path.open("ab+") as stream:
        torn = False
        if stream.tell() > 0:
            stream.seek(-1, os.SEEK_END)
            torn = stream.read(1) != b"\n"
        stream.write(b"\n" * torn + line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(file: Path, *, hint: str) -> list[tuple[int, dict[str, Any]]]:
    """The lines of ``file``, an object of JSON each as :func:`append_line` adds them, with their numbers from 1;
    one that a kill cut off counts as not written.

    Raises :class:`DataError` with ``hint`` for any other damage.
    """
    found = []
    for number, text in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not text:
            continue
        try:
            line = json.loads(text)
        except ValueError:
            if _cut(text):
                continue  # what came after it stands on a line of its own
            line = None
        if not isinstance(line, dict):
            raise damaged(file, number, hint)
        found.append((number, line))
    return found


def damaged(file: Path, number: int, hint: str) -> DataError:
    """The error for line ``number`` of ``file``."""
    return DataError(f"Line {number} of {file} is damaged.", hint=hint)


def _cut(line: bytes) -> bool:
    """Whether ``line`` may be the start of an object that a kill cut off: its outermost brace has no end."""
    bare = _TEXT.sub(b"", line)
    return bare.count(b"{") > bare.count(b"}")


def user_cache() -> Path:
    """The folder of what emolab keeps for this user and can make again; it need not exist."""
    import platformdirs

    return platformdirs.user_cache_path("emolab")
