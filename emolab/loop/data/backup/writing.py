"""Writing a backup: the catalog first, as it is at one moment, then the files it names, which nobody changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sqlalchemy import make_url

from emolab import __version__, config
from emolab.catalog.storage import sqlite_file
from emolab.catalog.storage.engine import HEAD, now
from emolab.errors import DataError, EmolabError, UnknownName
from emolab.loop.data.backup.manifest import CATALOG, CHUNK, FORMAT, NAME, PARTS, Manifest, Member
from emolab.loop.given import several
from emolab.progress import SILENT, Progress
from emolab.results import Result
from emolab.workspace import STATE, Workspace

#: Folders of the state that are made again by themselves.
REBUILT = ("cache", "predictions", "locks", "logs", "fiftyone")

#: Files that are wrong anywhere else or secret: the server's token (a new one is made) and its process, and the keys
#: and personal links of `emolab serve`, of which a backup would bring back the revoked ones.
NOT_KEPT = (
    *("studio/token", "studio/server.json", "studio/unfinished", "studio/unfinished.json", "media/incoming"),
    *("serving/keys.json", "serving/keys.json.lock", "serving/people.json", "serving/people.json.lock"),
)

_MAGIC = b"SQLite format 3\x00"
_BESIDE_SQLITE = ("-wal", "-shm", "-journal")


@dataclass(slots=True)
class Written(Result):
    """The backup and what is not in it: ``vanished`` files went away meanwhile, ``missing`` were lost before."""

    file: Path
    manifest: Manifest
    vanished: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The file, what it holds and what it does not, ready for JSON."""
        held = self.manifest
        return {
            "file": str(self.file),
            "bytes": self.file.stat().st_size,
            "files": len(held.members),
            "samples": held.samples,
            "left_out": held.left_out,
            "vanished": self.vanished,
            "missing": self.missing,
        }


def backup(
    workspace: Workspace,
    file: str | Path,
    *,
    leave_out: str | Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Written:
    """Write the workspace to ``file``, whole or not at all, readable by its owner only.

    ``leave_out`` names parts: media, studio, catalog. ``overwrite`` replaces a file that is there. Raises
    :class:`EmolabError` for a catalog that is damaged or no file, a file that is there, and too little space.
    """
    target, leave_out = Path(file), several(leave_out)
    for part in leave_out:
        if part not in PARTS:
            raise UnknownName("part of a workspace", part, PARTS)
    _check_target(workspace, target, overwrite)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name[:40]}-") as aside:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                made = _fill(workspace, stream, target, Path(aside), leave_out=leave_out, progress=progress)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return made


def _check_target(workspace: Workspace, target: Path, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise EmolabError(f"There is no folder {target.parent}.", hint="Make it, or name another place.")
    if target.parent.resolve().is_relative_to(workspace.state.resolve()):
        raise EmolabError(
            f"{target} lies in the workspace's own {STATE}, and would be lost with it.",
            hint="Choose a place outside, best on another disk.",
        )
    if target.is_dir():
        raise EmolabError(f"{target} is a folder.", hint=f"Name a file, such as {target / 'faces.backup'}")
    if target.exists() and not overwrite:
        raise EmolabError(f"{target} is there already.", hint="Choose another name, or replace it with --force.")


def _fill(
    workspace: Workspace,
    stream: IO[bytes],
    target: Path,
    aside: Path,
    *,
    leave_out: Collection[str],
    progress: Progress,
) -> Written:
    catalog, named = (None, []) if "catalog" in leave_out else _catalog(workspace, aside)
    files = dict(_files(workspace, leave_out))
    needed = sum(_size(path) for path in files.values()) + (catalog.stat().st_size if catalog else 0)
    if (free := shutil.disk_usage(target.parent).free) < needed:
        raise EmolabError(
            f"The backup needs {needed / 1e6:,.0f} MB, and {target.parent} has {free / 1e6:,.0f} MB free.",
            hint="Choose another disk, or leave something out: --without media",
        )
    sources = {config.FILE_NAME: workspace.root / config.FILE_NAME, **({CATALOG: catalog} if catalog else {}), **files}
    members, vanished = [], []
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        with progress.task("writing the backup", total=len(sources), unit="files") as task:
            for name, path in sources.items():
                member = _put(archive, name, path, aside)
                if member is None:
                    vanished.append(name)
                else:
                    members.append(member)
                task.advance()
        manifest = Manifest(
            format=FORMAT,
            emolab=__version__,
            schema=HEAD,
            project=workspace.config.project.name,
            created_at=now(),
            samples=len(named),
            left_out=tuple(sorted(leave_out)),
            members=tuple(members),
        )
        archive.writestr(NAME, manifest.to_bytes(), zipfile.ZIP_DEFLATED)
    kept = {member.name for member in members}
    missing = [] if "media" in leave_out else [name for name in named if name not in kept]
    return Written(target, manifest, vanished, missing)


def _catalog(workspace: Workspace, aside: Path) -> tuple[Path, list[str]]:
    """A copy of the catalog as it is now, and the media files its samples name."""
    address = workspace.config.catalog.url
    file = sqlite_file.file_of(make_url(address)) if address else workspace.catalog_file
    if file is None:
        kind = make_url(address).get_backend_name()
        raise EmolabError(
            f"The catalog is a {kind} database, which a backup of files does not hold.",
            hint="Dump it by its own means (pg_dump), then run this with: --without catalog",
        )
    with workspace.catalog() as catalog:
        if wrong := workspace.problems(catalog):
            raise DataError(
                f"The catalog is not healthy, and a backup would keep that: {'; '.join(wrong)}.",
                hint="Go back to an older backup with: emolab restore FILE",
            )
        copy = aside / "catalog.db"
        _copy_sqlite(file, copy)
    with closing(sqlite3.connect(copy)) as connection:
        return copy, [str(row[0]) for row in connection.execute("SELECT media FROM samples")]


def _files(workspace: Workspace, leave_out: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Every file of the state to keep, by its name below the workspace's root; linked folders are followed once."""
    skipped = {workspace.state / name for name in (*REBUILT, *NOT_KEPT, *leave_out)}
    seen: set[Path] = set()
    for folder, inner, names in os.walk(workspace.state, onerror=_stop, followlinks=True):
        place = Path(folder)
        if place.resolve() in seen:
            inner.clear()
            continue
        seen.add(place.resolve())
        inner[:] = sorted(name for name in inner if place / name not in skipped)
        for name in sorted(names):
            path = place / name
            if (
                path in skipped
                or name.endswith(".part")
                or (place == workspace.state and name.startswith("catalog.db"))
            ):
                continue
            if name.endswith(_BESIDE_SQLITE) and _is_sqlite(path.with_name(name.rpartition("-")[0])):
                continue
            if path.is_file():  # no socket, no pipe
                yield path.relative_to(workspace.root).as_posix(), path


def _stop(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _put(archive: zipfile.ZipFile, name: str, path: Path, aside: Path) -> Member | None:
    """Write one file; ``None`` when it went away before it was opened, as states of a training run do."""
    copy = path if path.parent == aside else None  # the catalog, which was copied first
    try:
        if copy is None and _is_sqlite(path):
            copy = aside / "copy.db"
            _copy_sqlite(path, copy)
        stream = (copy or path).open("rb")
    except FileNotFoundError:
        return None
    with stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        info = zipfile.ZipInfo(name)
        info.external_attr = (status.st_mode & 0o777) << 16
        info.compress_type = zipfile.ZIP_STORED if copy is None else zipfile.ZIP_DEFLATED
        digest, size = hashlib.sha256(), 0
        with archive.open(info, "w", force_zip64=True) as out:
            while piece := stream.read(CHUNK):
                digest.update(piece)
                size += len(piece)
                out.write(piece)
    if copy is not None:
        copy.unlink()  # makes room for the next one
    return Member(name, size, digest.hexdigest())


def _copy_sqlite(file: Path, copy: Path) -> None:
    """Copy a database as it is at one moment, while others write."""
    if not file.is_file():
        raise FileNotFoundError(2, os.strerror(2), str(file))
    try:
        if sqlite_file.read_only(file):
            connect, folder = sqlite_file.reader(file)
            source = connect()
        else:
            source, folder = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=60), None
        with closing(source), closing(sqlite3.connect(copy)) as out:
            source.backup(out)
            out.execute("PRAGMA journal_mode=DELETE")
            wrong = [row[0] for row in out.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
        if folder is not None:
            folder.cleanup()
    except sqlite3.Error as error:
        if "full" in str(error):
            raise OSError(28, os.strerror(28), str(copy)) from error
        raise DataError(f"The database {file} cannot be copied: {error}.", hint="Check with: emolab doctor") from error
    if wrong:
        raise DataError(
            f"The database {file} is damaged: {'; '.join(wrong)}.",
            hint="Go back to an older backup with: emolab restore FILE. Or leave it out: --without studio",
        )


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except (FileNotFoundError, IsADirectoryError):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
