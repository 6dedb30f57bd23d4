"""SQLite files that may only be read: a copy on a read-only disk, or the workspace of somebody else.

SQLite wants to write beside a database in WAL mode even to read it. Three ways around that are tried in turn: as a
reader beside its owner, as a file that nobody changes, and as a copy in the temporary folder.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL


def file_of(url: URL) -> Path | None:
    """The file behind an address; ``None`` for a server, a database in memory or one given as a URI."""
    name = url.database
    if not url.drivername.startswith("sqlite") or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def read_only(file: Path) -> bool:
    """Whether ``file`` is there but cannot be written, itself or in its folder."""
    return file.is_file() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def reader(file: Path) -> tuple[Callable[[], sqlite3.Connection], tempfile.TemporaryDirectory[str] | None]:
    """How to open the read-only ``file``, and the folder of the copy where one had to be made.

    Raises ``sqlite3.Error`` when it is no readable database.
    """
    beside = f"{file.absolute().as_uri()}?mode=ro"
    if _opens(beside):
        return lambda: _open(beside), None
    log = file.with_name(f"{file.name}-wal")
    if not log.is_file() or log.stat().st_size == 0:
        alone = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        return lambda: _open(alone), None
    folder = tempfile.TemporaryDirectory(prefix="emolab-catalog-")
    copy = Path(folder.name) / "catalog.db"
    shutil.copyfile(file, copy)
    shutil.copyfile(log, copy.with_name("catalog.db-wal"))
    with closing(sqlite3.connect(copy)) as connection:  # what stands in the log goes into the file
        connection.execute("PRAGMA journal_mode=DELETE")
    alone = f"{copy.as_uri()}?mode=ro&immutable=1"
    return lambda: _open(alone), folder


def _open(address: str) -> sqlite3.Connection:
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _opens(address: str) -> bool:
    try:
        with closing(_open(address)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return False
    return True
