"""Reading files that anybody may have put there: never more than a limit, never from what does not end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

#: The largest image or table that is read where no setting says otherwise (``collect.max_bytes``).
LIMIT = 512 << 20

_PIECE = 1 << 20


class TooLarge(Exception):
    """A file holds more bytes than may be read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit >> 20} MiB" if limit >= 1 << 20 else f"more than {limit:,} bytes")
        self.limit = limit


def open_file(path: Path | str) -> BinaryIO:
    """The file at ``path``, opened for reading; devices, pipes and sockets are refused before anything is read.

    Raises :class:`OSError`; for what is no file its ``strerror`` says so. Never waits for somebody to write.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a device or pipe, not a file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path | str, *, limit: int = LIMIT) -> bytes:
    """The bytes of the file at ``path``; raises :class:`TooLarge` beyond ``limit`` bytes, else :class:`OSError`.

    The limit holds for what is read: a file that grows, or one of a system that says 0 and never ends, stops as well.
    """
    with open_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise TooLarge(limit)
        parts = [stream.read(size + 1)]
        held = len(parts[0])
        while held > size and (part := stream.read(_PIECE)):
            parts.append(part)
            held += len(part)
            if held > limit:
                raise TooLarge(limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)
