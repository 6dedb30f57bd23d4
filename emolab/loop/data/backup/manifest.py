"""What a backup holds: a zip whose last member lists all the others with size and sha256."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emolab import config
from emolab.errors import DataError, EmolabError
from emolab.results import Result
from emolab.workspace import STATE

FORMAT = 1
NAME = "emolab-backup.json"
CATALOG = f"{STATE}/catalog.db"
CHUNK = 1 << 20

#: Parts that may be left out: folders of the state, or a catalog that is no file.
PARTS = ("media", "studio", "catalog")

#: What a file that is cut, changed or something else makes ``zipfile`` raise.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression or an encryption that no backup has
    RuntimeError,  # a password
    ValueError,
    OverflowError,
    KeyError,
    LookupError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file: its path below the workspace's root, bytes and sha256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Result):
    """``schema`` is the catalog's; ``left_out`` are parts that somebody did not want in it."""

    format: int
    emolab: str
    schema: str
    project: str
    created_at: str
    samples: int
    left_out: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members)

    def to_dict(self) -> dict[str, Any]:
        """What the backup holds, without the names of its files, ready for JSON."""
        return {
            "project": self.project,
            "created_at": self.created_at,
            "emolab": self.emolab,
            "files": len(self.members),
            "bytes": self.size,
            "samples": self.samples,
            "left_out": list(self.left_out),
        }

    def to_bytes(self) -> bytes:
        """As it stands in the zip."""
        return json.dumps(asdict(self), indent=1).encode()


def read(archive: zipfile.ZipFile, file: Path) -> Manifest:
    """The manifest of the open ``archive``; the zip holds exactly its members, each below the workspace.

    Raises :class:`DataError` for a zip that is no backup or a damaged one, :class:`EmolabError` for a newer one.
    """
    names = [info.filename for info in archive.infolist()]
    if NAME not in names:
        raise DataError(f"{file} is no backup of emolab: it has no {NAME}.", hint="Name a file of: emolab backup FILE")
    data: Any = json.loads(archive.read(NAME))
    if not isinstance(data, dict) or not isinstance(data.get("format"), int):
        raise damaged(file, f"{NAME} is not readable")
    if data["format"] > FORMAT:
        raise EmolabError(
            f"{file} was written by a newer emolab ({data.get('emolab')}, format {data['format']}; this one knows "
            f"{FORMAT}).",
            hint="Upgrade with: pip install --upgrade emolab",
        )
    try:
        members = tuple(Member(str(m["name"]), int(m["size"]), str(m["sha256"])) for m in data.pop("members"))
        made = Manifest(**{**data, "left_out": tuple(data["left_out"])}, members=members)
    except (TypeError, KeyError) as error:
        raise damaged(file, f"{NAME} is not readable") from error
    listed = sorted(member.name for member in members)
    if listed != sorted(name for name in names if name != NAME):
        raise damaged(file, "it holds other files than it says")
    for name in listed:
        if name != config.FILE_NAME and not _is_below_state(name):
            raise damaged(file, f"{name} leads out of the workspace")
    return made


def _is_below_state(name: str) -> bool:
    """Whether a member of the zip is written below the workspace's ``.emolab``, and nowhere else.

    >>> _is_below_state(".emolab/media/ab.png"), _is_below_state(".emolab/../x"), _is_below_state("/.emolab/x")
    (True, False, False)
    """
    parts = PurePosixPath(name).parts
    return parts[:1] == (STATE,) and len(parts) > 1 and ".." not in parts


def damaged(file: Path, why: str) -> DataError:
    """The error for a backup that cannot be used; nothing was changed."""
    return DataError(f"The backup {file} is damaged: {why}.", hint="Use another copy or an older backup.")


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The backup, with whatever is wrong with it as a :class:`DataError`."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive, read(archive, file)
    except zipfile.BadZipFile as error:
        if not zipfile.is_zipfile(file):
            raise DataError(
                f"{file} is no backup of emolab, or only a part of one.", hint="Name a file of: emolab backup FILE"
            ) from error
        raise damaged(file, str(error).rstrip(".")) from error
    except BROKEN as error:
        raise damaged(file, str(error).rstrip(".") or type(error).__name__) from error


def pieces(archive: zipfile.ZipFile, file: Path, member: Member) -> Iterator[bytes]:
    """The bytes of one member in pieces; after the last one they are known to be the ones that were kept."""
    digest, size = hashlib.sha256(), 0
    with archive.open(member.name) as stream:
        while piece := stream.read(CHUNK):
            size += len(piece)
            if size > member.size:
                break
            digest.update(piece)
            yield piece
    if (size, digest.hexdigest()) != (member.size, member.sha256):
        raise damaged(file, f"{member.name} is not what was kept")
