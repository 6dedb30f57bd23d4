"""Label Studio's empty database, kept in the user's cache: its migrations take half a minute, a copy takes none.

What is kept is the database as the migrations leave it, before it has any user, token or project; its key lies in a
file of its own, which every workspace has made for itself. Nothing is lost when the cache is: it is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import sys
from importlib import metadata
from pathlib import Path

from emolab.files import user_cache


def place(program: str) -> Path | None:
    """Where the empty database of this release lies or will lie; ``None`` where the release is not known.

    Only the ``label-studio`` beside this Python is one whose release can be asked without starting it.
    """
    if Path(program).parent != Path(sys.executable).parent:
        return None
    try:
        releases = [f"{name} {metadata.version(name)}" for name in ("label-studio", "django")]
    except metadata.PackageNotFoundError:
        return None
    name = hashlib.sha256("\n".join(releases).encode()).hexdigest()[:16]
    return user_cache() / "label-studio" / f"{name}.sqlite3"


def copy(kept: Path, target: Path) -> bool:
    """Copy the database at ``kept`` to ``target`` and return whether it is there; a damaged one is removed."""
    if not kept.is_file():
        return False
    try:
        shutil.copyfile(kept, target)
        if _empty(target):
            return True
    except (OSError, sqlite3.Error):
        pass
    for damaged in (kept, target):
        with contextlib.suppress(OSError):
            damaged.unlink()
    return False


def part_of(kept: Path) -> Path | None:
    """Where this process may write the database before it becomes ``kept``; ``None`` where there is no room for one."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return kept.with_name(f"{kept.stem}-{os.getpid()}.part")


def keep(part: Path, kept: Path) -> None:
    """Make ``part`` the database to copy from now on, if it is one; without it the next workspace just takes longer."""
    with contextlib.suppress(OSError, sqlite3.Error):
        if part.is_file() and _empty(part):
            part.chmod(0o600)
            part.replace(kept)
    with contextlib.suppress(OSError):
        part.unlink()


def _empty(database: Path) -> bool:
    """Whether this is a whole database of Label Studio in which nobody has an account."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            return False
        rows = connection.execute(
            "SELECT (SELECT count(*) FROM htx_user), (SELECT count(*) FROM authtoken_token), "
            "(SELECT count(*) FROM organization), (SELECT count(*) FROM django_migrations)"
        ).fetchone()
    users, tokens, teams, migrations = map(int, rows)
    return users + tokens + teams == 0 and migrations > 0
