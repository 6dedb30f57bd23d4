"""A zip as a tree of files, read member by member, never unpacked to disk: for collecting and for readers alike."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO

from emolab.datasets.file_names import HIDDEN, hidden_part, kind_of, suffix_of, to_be_opened
from emolab.files import open_file
from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.intake import FileNames
from emolab.modalities.problems import Problem, Refused, reason, shown

#: An archive that would unpack to more than this many times its size, and to more than a gigabyte, is a bomb.
BOMB_RATIO = 200
BOMB_BYTES = 1 << 30

_ENCRYPTED = 0x1
_LOCAL_HEADER = 30  # bytes before each member, at least
_UTF8 = 0x800

#: What the standard library raises for a member that is damaged, encrypted or packed in an unknown way.
BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file in a zip: its relative name with slashes, its kind as in :func:`~emolab.datasets.collect.walk.walk`."""

    name: str
    kind: str
    info: zipfile.ZipInfo


class Archive:
    """The zip at ``path``; what is too large or would write outside is refused, member by member.

    Raises :class:`Refused` for a file that is no zip, and for a bomb: one that unpacks to very much more than it
    holds, or whose members share their bytes. ``max_bytes`` is the largest member that is read.
    """

    def __init__(self, path: str, *, max_bytes: int, files: FileNames = IMAGE_FILES) -> None:
        self.path = path
        self.files = files
        self.max_bytes = max_bytes
        try:
            self._stream = open_file(path)
        except OSError as error:
            raise Refused("unreadable", reason(error)) from error
        try:
            self._index()
        except BaseException:
            self._stream.close()
            raise

    def _index(self) -> None:
        size = self._stream.seek(0, 2)
        if size == 0:
            raise Refused("empty", "the file has no bytes")
        try:
            self._zip = zipfile.ZipFile(self._stream)
        except OSError as error:
            raise Refused("unreadable", reason(error)) from error
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise Refused("damaged", f"not a readable zip: {error}") from error
        total = sum(info.file_size for info in self._zip.infolist())
        if total > BOMB_BYTES and total > BOMB_RATIO * size:
            raise Refused("zip bomb", f"{size:,} bytes that would unpack to {total:,}; left alone")
        if self._overlap():
            raise Refused("zip bomb", "its members share their bytes, which no honest tool writes; left alone")

    def members(self, ignored: Counter[str]) -> Iterator[ArchiveMember | Problem]:
        """Every file in the order of the index; problems in place, what is passed over counted in ``ignored``.

        Names that lead out of the archive are refused, although nothing is written under them: a zip with such names
        was not made by an honest tool. Of members of one name the last counts, as where the archive is unpacked.
        """
        infos = self._zip.infolist()
        names = [_name(info) for info in infos]
        last = {name: place for place, name in enumerate(names)}
        hidden: set[str] = set()
        for place, (name, info) in enumerate(zip(names, infos, strict=True)):
            where = f"{shown(self.path)}/{shown(info.filename)}"
            if (part := hidden_part(name)) is not None and _leads_out(info) is None:
                ignored[HIDDEN] += part not in hidden
                hidden.add(part)
            elif (problem := _refusal(info, self.max_bytes)) is not None:
                yield problem.at(where)
            elif info.is_dir() or info.filename.endswith("\\"):
                continue
            elif last[name] != place:
                message = "the archive holds this name more than once; the last one counts, as in unpacking"
                yield Problem(where, "name twice", message, taken=True)
            else:
                yield ArchiveMember(name, self._kind(name, info), info)

    def read(self, info: zipfile.ZipInfo) -> bytes:
        """The bytes of a member; raises :class:`Refused`. May be called from several threads."""
        try:
            with self._zip.open(info) as stream:
                data = stream.read(self.max_bytes + 1)
        except BROKEN as error:
            raise Refused("damaged", f"cannot be unpacked: {error}") from error
        if len(data) > self.max_bytes:
            limit = f"{self.max_bytes:,} bytes (collect.max_bytes)"
            raise Refused("too large", f"unpacks to more than it says and than {limit}")
        return data

    def open(self, info: zipfile.ZipInfo) -> IO[bytes]:
        """A member as a stream; raises one of :data:`BROKEN`."""
        return self._zip.open(info)

    def close(self) -> None:
        """Give the file back."""
        self._zip.close()
        self._stream.close()

    def _kind(self, name: str, info: zipfile.ZipInfo) -> str:
        kind = kind_of(name, self.files)
        if kind is None and to_be_opened(name, self.files):
            try:
                with self._zip.open(info) as stream:
                    kind = "media" if stream.read(8).startswith(self.files.starts) else None
            except BROKEN:
                kind = None
        return kind or "other"

    def _overlap(self) -> bool:
        end = -1
        for info in sorted(self._zip.infolist(), key=lambda info: info.header_offset):
            if info.header_offset < end:
                return True
            end = info.header_offset + _LOCAL_HEADER + info.compress_size
        return False


def media_files(
    path: str, *, max_bytes: int, ignored: Counter[str], files: FileNames = IMAGE_FILES
) -> Iterator[tuple[str, str, Callable[[], bytes]] | Problem]:
    """(name, stamp, reader) of every one of ``files`` in the zip at ``path``, in the order of its index; problems too.

    A reader returns the member's bytes or raises :class:`Refused`; readers may be called from several threads.
    """
    try:
        archive = Archive(path, max_bytes=max_bytes, files=files)
    except Refused as refused:
        yield refused.at(shown(path))
        return
    for member in archive.members(ignored):
        if isinstance(member, Problem):
            yield member
            continue
        where = f"{shown(path)}/{shown(member.name)}"
        info = member.info
        if member.kind in ("media", "recording"):
            yield where, f"{info.header_offset}|{info.CRC}|{info.filename}", _reader(archive, info)
        elif member.kind == "other":
            ignored[suffix_of(member.name)] += 1
        else:
            yield Problem(where, f"{member.kind} in a zip", "unpack it and give the folder")


def _reader(archive: Archive, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archive.read(info)


def _name(info: zipfile.ZipInfo) -> str:
    """The relative name of a member with slashes, also where Windows or macOS wrote it in their own way."""
    name = info.filename
    if not info.flag_bits & _UTF8 and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")  # macOS writes UTF-8 and does not say so
        except ValueError:
            name = info.filename
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _leads_out(info: zipfile.ZipInfo) -> Refused | None:
    # ZipFile cuts names at a NUL; orig_filename is what the archive says
    parts = PureWindowsPath(info.orig_filename)
    if ".." in parts.parts or parts.is_absolute() or parts.drive or info.orig_filename.startswith(("/", "\\")):
        return Refused("unsafe name", "the name leads out of the archive; refused")
    if "\0" in info.orig_filename:
        return Refused("unsafe name", "the name holds a zero byte; refused")
    return None


def _refusal(info: zipfile.ZipInfo, max_bytes: int) -> Refused | None:
    if (unsafe := _leads_out(info)) is not None:
        return unsafe
    if info.flag_bits & _ENCRYPTED:
        return Refused("encrypted", "needs a password; unpack the archive and give the folder")
    if info.file_size > max_bytes:
        return Refused("too large", f"would unpack to {info.file_size:,} bytes (collect.max_bytes)")
    return None
