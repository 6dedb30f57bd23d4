"""Bringing a backup back: read and checked in full beside the workspace, then put in place by renaming."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emolab import config
from emolab.catalog.privacy.tombstones import FILE, FOLDER, KEY
from emolab.catalog.storage.engine import HEAD
from emolab.config import Config
from emolab.errors import ConfigError, EmolabError
from emolab.loop.data.backup import manifest
from emolab.loop.data.backup.manifest import Manifest
from emolab.progress import SILENT, Progress
from emolab.results import Result, plain_data
from emolab.workspace import STATE, Workspace


@dataclass(frozen=True, slots=True)
class Restored(Result):
    """The workspace's folder, what the backup held, and where the old state lies now (``None``: there was none).

    ``forgotten`` samples were in the backup and were erased again (``None``: nobody could look).
    """

    root: Path
    manifest: Manifest
    before: Path | None
    forgotten: int | None = 0

    def to_dict(self) -> dict[str, Any]:
        """What the backup held and where it is now, ready for JSON."""
        return {
            **self.manifest.to_dict(),
            "workspace": str(self.root),
            "before": plain_data(self.before),
            "forgotten": self.forgotten,
        }


def check_backup(file: str | Path, *, progress: Progress = SILENT) -> Manifest:
    """Read every byte of the backup and return what it holds; nothing is changed.

    Raises :class:`EmolabError` for one that is damaged, of another kind, or of a newer emolab.
    """
    file = Path(file)
    with manifest.opened(file) as (archive, found), progress.task("checking", len(found.members), unit="files") as task:
        _check_schema(file, found)
        for member in found.members:
            for _ in manifest.pieces(archive, file, member):
                pass
            task.advance()
    return found


def restore(
    file: str | Path, directory: str | Path, *, overwrite: bool = False, progress: Progress = SILENT
) -> Restored:
    """Make the workspace of the backup in ``directory``; with ``overwrite`` in place of the one that is there.

    Nothing changes before every byte is checked. What was there is moved aside, never deleted; parts that the backup
    left out stay as they are. Raises :class:`EmolabError` as :func:`check_backup` does, and for a workspace in use.
    """
    from emolab.loop.label.studio import check_studio_is_down

    file, root = Path(file), Path(directory).resolve()
    check_studio_is_down(root)
    there = [path for path in (root / config.FILE_NAME, root / STATE) if path.exists() or path.is_symlink()]
    if there and not overwrite:
        raise EmolabError(
            f"{root} holds a workspace already.",
            hint="Name another folder, or put the backup in its place with --force; the old one is moved aside.",
        )
    if (root / STATE).is_symlink():
        raise EmolabError(f"{root / STATE} is a link.", hint="Name another folder, or put a folder in its place.")
    _check_idle(root)
    root.mkdir(parents=True, exist_ok=True)
    staging = root / f".emolab-restore-{os.getpid()}"
    try:
        with manifest.opened(file) as (archive, found):
            _check_schema(file, found)
            _check_space(root, found)
            for private in (staging, staging / STATE, staging / STATE / "studio"):
                private.mkdir(mode=0o700)
            with progress.task("restoring", len(found.members), unit="files") as task:
                for member in found.members:
                    target = staging / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    mode = (archive.getinfo(member.name).external_attr >> 16) & 0o777 | 0o600
                    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
                    with os.fdopen(descriptor, "wb") as out:
                        for piece in manifest.pieces(archive, file, member):
                            out.write(piece)
                    task.advance()
        studio = staging / STATE / "studio"
        if not any(studio.iterdir()):
            studio.rmdir()
        before = None
        if there:
            _keep_tombstones(root / STATE / FOLDER, staging / STATE / FOLDER)
            before = _swap(root, staging, found)
        else:
            _move([(path, root / path.name) for path in sorted(staging.iterdir())])
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    (root / STATE / "locks").mkdir(exist_ok=True)
    return Restored(root, found, before, _forget_again(root, progress))


def _keep_tombstones(here: Path, coming: Path) -> None:
    """Let what was forgotten here stay forgotten: the tombstones of now go with those of the backup.

    A backup of another workspace, with another key, brings its own.
    """
    if not here.is_dir():
        return
    if not coming.is_dir():
        shutil.copytree(here, coming)
        return
    if (here / KEY).read_bytes() != (coming / KEY).read_bytes():
        return
    both = {line for folder in (here, coming) for line in (folder / FILE).read_text(encoding="ascii").split()}
    (coming / FILE).write_text("".join(f"{each}\n" for each in sorted(both)), encoding="ascii")
    for file in here.glob("*.json"):
        if not (coming / file.name).exists():
            shutil.copy2(file, coming / file.name)


def _forget_again(root: Path, progress: Progress) -> int | None:
    """Erase what the backup brought back although it was forgotten; how many samples, ``None``: nobody could look."""
    from emolab.catalog.privacy.tombstones import Tombstones

    if not (root / STATE / FOLDER / FILE).is_file():
        return 0
    try:
        workspace = Workspace.open(root)
    except ConfigError:
        return None
    from emolab.loop.operate.forgetting import search
    from emolab.loop.operate.forgetting.forget import forget

    with workspace.catalog() as catalog, catalog.connect() as conn:
        gone, subjects, annotators = search.brought_back(conn, Tombstones(workspace))
    if gone or subjects:
        forget(workspace, ids=gone, subjects=subjects, progress=progress)
    if annotators:
        forget(workspace, annotators=annotators, progress=progress)
    return len(gone)


def _check_schema(file: Path, found: Manifest) -> None:
    if found.schema > HEAD:
        raise EmolabError(
            f"{file} holds the catalog of a newer emolab (schema {found.schema}, this one knows {HEAD}).",
            hint="Upgrade with: pip install --upgrade emolab",
        )


def _check_space(root: Path, found: Manifest) -> None:
    free = shutil.disk_usage(root).free
    if free < found.size:
        raise EmolabError(
            f"The backup needs {found.size / 1e6:,.0f} MB, and {root} has {free / 1e6:,.0f} MB free.",
            hint="Free some space, or name a folder on another disk.",
        )


def _check_idle(root: Path) -> None:
    workspace = Workspace(root, Config())
    for lock in sorted((workspace.state / "locks").glob("*.lock")):
        if workspace.busy(lock.stem):
            raise EmolabError(
                f'An emolab process is busy with "{lock.stem}" in {root}.',
                hint="Wait until it ends, or stop it, and run this again.",
            )


def _swap(root: Path, staging: Path, found: Manifest) -> Path:
    """Move the old state aside, but for parts that the backup left out, and the new one in."""
    before = root / f".emolab-before-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    state = root / STATE
    kept = set(found.left_out)
    moves = [(root / config.FILE_NAME, before / config.FILE_NAME)]
    if state.is_dir():
        moves += [
            (path, before / STATE / path.name)
            for path in sorted(state.iterdir())
            if path.name not in kept and not ("catalog" in kept and path.name.startswith("catalog.db"))
        ]
    else:
        moves.append((state, before / STATE))
    (before / STATE).mkdir(parents=True, mode=0o700)
    if not state.is_dir():
        (before / STATE).rmdir()
    moves = [(old, new) for old, new in moves if old.exists() or old.is_symlink()]
    new = staging / STATE
    moves.append((staging / config.FILE_NAME, root / config.FILE_NAME))
    moves += [(path, state / path.name) for path in sorted(new.iterdir())] if state.is_dir() else [(new, state)]
    _move(moves)
    return before


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename all or none: what fails, or is stopped, in the middle is taken back."""
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in moves:
            if new.exists():
                raise FileExistsError(17, os.strerror(17), str(new))
            old.rename(new)
            done.append((old, new))
    except BaseException:
        for old, new in reversed(done):
            new.rename(old)
        raise


def settings_of(root: Path) -> Config | None:
    """The restored settings, or ``None`` where this emolab cannot read them."""
    try:
        return config.load(root / config.FILE_NAME)
    except ConfigError:
        return None
