"""A ledger of inputs that became samples, so that the second run over a folder need not read it again.

It lives in the cache: deleting it costs time, never data. An entry counts only while every sample it names is still in
the catalog and its file still there, so what was forgotten or lost comes back on the next run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock

from emolab.errors import EmolabError

_BYTES = 32  # of one sample id


class InputLedger:
    """The ledger in one file; ``settings`` is whatever changes the samples made of an input. A context manager."""

    def __init__(self, file: Path, *, settings: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._salt = blake2b(settings.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        # SQLite does not wait for others while it turns WAL on
        with FileLock(file.with_name(f"{file.name}.lock")), self._explained():
            try:
                self._connection = _opened(file)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
                    part.unlink(missing_ok=True)  # damaged; a cache is made again
                self._connection = _opened(file)

    def __enter__(self) -> InputLedger:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def find(self, stamps: Sequence[str]) -> list[tuple[str, ...] | None]:
        """For each stamp the ids of the samples made of it, or ``None`` when it was never seen."""
        keys = [self._key(stamp) for stamp in stamps]
        marks = ",".join("?" * len(keys))
        with self._explained():
            rows = self._connection.execute(f"SELECT key, ids FROM seen WHERE key IN ({marks})", keys)  # noqa: S608
            found = {key: _split(ids) for key, ids in rows}
        return [found.get(key) for key in keys]

    def add(self, entries: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Remember, for each stamp, the ids of its samples."""
        rows = [(self._key(stamp), bytes.fromhex("".join(ids))) for stamp, ids in entries]
        with self._explained(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite says inside the block into words with a way out."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "full" in str(error):
                raise EmolabError(
                    f"The disk is full: {self._file} could not be written.",
                    hint="Free some space and run the same command again; what was kept so far is not done again.",
                ) from error
            raise EmolabError(
                f"The ledger of collected files, {self._file}, cannot be used: {error}.",
                hint="It is a cache: delete it and run the same command again, which then reads every file.",
            ) from error

    def _key(self, stamp: str) -> bytes:
        return blake2b(stamp.encode("utf-8", "surrogateescape"), digest_size=16, key=self._salt).digest()


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, ids BLOB) WITHOUT ROWID")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _split(ids: bytes) -> tuple[str, ...]:
    return tuple(ids[start : start + _BYTES].hex() for start in range(0, len(ids), _BYTES))
