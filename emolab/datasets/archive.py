"""The images inside a zip, read member by member, never unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath, PureWindowsPath

from emolab.datasets.problems import Problem, Refused, reason, shown
from emolab.datasets.walk import kind_of

#: An archive that would unpack to more than this many times its size, and to more than a gigabyte, is a bomb.
BOMB_RATIO = 200
BOMB_BYTES = 1 << 30

_ENCRYPTED = 0x1


def members(
    path: str, *, size: int, max_bytes: int, ignored: Counter[str]
) -> Iterator[tuple[str, str, Callable[[], bytes]] | Problem]:
    """(name, stamp, reader) of every image in the zip at ``path``, in the order of its index; problems in place.

    A reader returns the member's bytes or raises :class:`Refused`; readers may be called from several threads.
    ``size`` is that of the archive in bytes. Names that lead out of the archive are refused, although nothing is
    written under them: a zip with such names was not made by an honest tool.
    """
    if size == 0:
        yield Problem(shown(path), "empty", "the file has no bytes")
        return
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        yield Problem(shown(path), "unreadable", reason(error))
        return
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        yield Problem(shown(path), "damaged", f"not a readable zip: {error}")
        return
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if total > BOMB_BYTES and total > BOMB_RATIO * size:
        message = f"{size:,} bytes that would unpack to {total:,}; left alone"
        yield Problem(shown(path), "zip bomb", message)
        return
    for info in infos:
        where = f"{shown(path)}/{shown(info.filename)}"
        problem = _refusal(info, max_bytes)
        name = PurePosixPath(info.filename).name
        kind = kind_of(name)
        if problem is not None:
            yield problem.at(where)
        elif info.is_dir() or name.startswith(".") or info.filename.startswith("__MACOSX/"):
            continue
        elif kind == "image":
            yield where, f"{info.header_offset}|{info.CRC}|{info.filename}", _reader(archive, info, max_bytes)
        elif kind is not None:
            yield Problem(where, f"{kind} in a zip", "unpack the archive and collect the folder")
        else:
            ignored[PurePosixPath(name).suffix.lower() or "no suffix"] += 1


def _refusal(info: zipfile.ZipInfo, max_bytes: int) -> Refused | None:
    # ZipFile cuts names at a NUL; orig_filename is what the archive says
    parts = PureWindowsPath(info.orig_filename)
    if ".." in parts.parts or parts.is_absolute() or parts.drive or info.orig_filename.startswith(("/", "\\")):
        return Refused("unsafe name", "the name leads out of the archive; refused")
    if "\0" in info.orig_filename:
        return Refused("unsafe name", "the name holds a zero byte; refused")
    if info.flag_bits & _ENCRYPTED:
        return Refused("encrypted", "needs a password; unpack the archive and collect the folder")
    if info.file_size > max_bytes:
        return Refused("too large", f"would unpack to {info.file_size:,} bytes (collect.max_bytes)")
    return None


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with archive.open(info) as stream:
                data = stream.read(max_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise Refused("damaged", f"cannot be unpacked: {error}") from error
        if len(data) > max_bytes:
            raise Refused("too large", f"unpacks to more than it says and than {max_bytes:,} bytes (collect.max_bytes)")
        return data

    return read
