"""What an image looks like in 32 x 32 grey pixels, kept for every sample, and what was found out by comparing them.

The looks live in the cache, in one SQLite file. Collect and merge write them while they have the picture in hand;
what is missing, in whole or in part, is decoded again: deleting the file costs time, never data. With each look goes
whether it has been compared with all others, and the links found, so that new images are compared with the old ones
and not the old ones again.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from emolab.catalog.storage.chunks import chunks
from emolab.modalities.image import reading
from emolab.modalities.image.look import SIDE, look

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

#: Name of the file in the cache of a workspace.
LOOKS = "looks.db"
#: A decoder may leave out detail finer than this shorter side.
REDUCED = 2 * SIDE
_ADD = """INSERT INTO looks VALUES (?, ?, 0) ON CONFLICT(id) DO UPDATE SET look = excluded.look, compared = 0
WHERE length(look) != length(excluded.look)"""
#: Contrast (standard deviation of grey, 0..1) below which there is no structure to compare.
FLAT = 0.02


def of_media(media: bytes | Path) -> NDArray[np.uint8] | None:
    """The look of a media file, ``None`` of one that cannot be read."""
    try:
        data = media if isinstance(media, bytes) else media.read_bytes()
        image = reading.load(data, reduce_to=REDUCED)
        return look(reading.shown(image, None).image)
    except (OSError, reading.Unreadable):
        return None


def flat(looks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of ``looks`` (n, side, side) show nothing: (n,)."""
    return np.asarray(looks.std(axis=(1, 2)) < FLAT * 255)


@dataclass(frozen=True, slots=True)
class KnownLooks:
    """Looks of samples: ``ids`` (n), ``looks`` (n, side, side), whether each was ``compared`` with all others (n,)
    and the ``links`` found between them, as rows (m, 2)."""

    ids: list[str]
    looks: NDArray[np.uint8]
    compared: NDArray[np.bool_]
    links: NDArray[np.int64]


class Looks:
    """The looks of a workspace in ``file``, each of ``shape``; a context manager, safe for several processes."""

    def __init__(self, file: Path, shape: tuple[int, int] = (SIDE, SIDE)) -> None:
        self._shape = shape
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f"{file.name}.lock")):  # SQLite does not wait for others while it turns WAL on
            self._connection = sqlite3.connect(file, timeout=60)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS looks (id BLOB PRIMARY KEY, look BLOB NOT NULL, compared INT NOT NULL)"
            )
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS links (first BLOB, second BLOB, PRIMARY KEY (first, second)) WITHOUT ROWID"
            )

    def __enter__(self) -> Looks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def add(self, found: Iterable[tuple[str, NDArray[np.uint8]]]) -> None:
        """Keep looks by the id of their sample. Raises :class:`OSError` for a full disk."""
        rows = [(bytes.fromhex(name), pixels.tobytes()) for name, pixels in found]
        self._write([(_ADD, rows)])

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Those of ``ids`` without a look."""
        whole = self._connection.execute(
            "SELECT id FROM looks WHERE length(look) = ?", (self._shape[0] * self._shape[1],)
        )
        there = {row[0].hex() for row in whole}
        return [name for name in ids if name not in there]

    def of(self, ids: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
        """The looks (rows, columns) of those of ``ids`` that have one."""
        found = {}
        for part in chunks(list(ids), 500):
            query = f"SELECT id, look FROM looks WHERE id IN ({', '.join('?' * len(part))})"  # noqa: S608 (marks alone)
            for name, pixels in self._connection.execute(query, [bytes.fromhex(each) for each in part]):
                if len(pixels) == self._shape[0] * self._shape[1]:
                    found[name.hex()] = np.frombuffer(pixels, dtype=np.uint8).reshape(self._shape)
        return found

    def read(self, ids: Sequence[str]) -> KnownLooks:
        """The looks of ``ids``, in this order, as far as there are any.

        What was linked to a sample that is not among ``ids`` counts as not compared: others may now be linked to it
        through nobody.
        """
        wanted = {bytes.fromhex(name): row for row, name in enumerate(ids)}
        rows: list[int] = []
        parts: list[bytes] = []
        flags: list[bool] = []
        for name, pixels, compared in self._connection.execute("SELECT id, look, compared FROM looks"):
            if name in wanted and len(pixels) == self._shape[0] * self._shape[1]:
                rows.append(wanted[name])
                parts.append(pixels)
                flags.append(bool(compared))
        order = np.argsort(np.array(rows, dtype=np.int64))
        looks = np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, *self._shape)[order]
        compared_all = np.array(flags, dtype=bool)[order]
        names = [ids[rows[i]] for i in order.tolist()]
        links, broken = self._links({bytes.fromhex(name): row for row, name in enumerate(names)})
        compared_all[_connected(broken, links)] = False
        return KnownLooks(names, looks, compared_all, np.array(links, dtype=np.int64).reshape(-1, 2))

    def link(self, names: Sequence[str], pairs: NDArray[np.int64]) -> None:
        """Keep that the pairs of rows (m, 2) of ``names`` are copies and that all of ``names`` have been compared."""
        ids = [bytes.fromhex(name) for name in names]
        found = [(ids[a], ids[b]) for a, b in pairs.tolist()]
        self._write(
            [
                ("INSERT OR IGNORE INTO links VALUES (?, ?)", found),
                ("UPDATE looks SET compared = 1 WHERE id = ? AND compared = 0", [(each,) for each in ids]),
            ]
        )

    def forget(self, ids: Iterable[str]) -> None:
        """Delete the looks of ``ids``; what they were linked to is compared again."""
        rows = [(bytes.fromhex(name),) for name in ids]
        self._write([("DELETE FROM looks WHERE id = ?", rows)])

    def _links(self, place: dict[bytes, int]) -> tuple[list[tuple[int, int]], list[int]]:
        """Links between rows, and rows that were linked to something that is gone."""
        links, broken = [], []
        for first, second in self._connection.execute("SELECT first, second FROM links"):
            a, b = place.get(first), place.get(second)
            if a is not None and b is not None:
                links.append((a, b))
            elif a is not None or b is not None:
                broken.append(a if a is not None else b or 0)
        return links, broken

    def _write(self, statements: Sequence[tuple[str, Sequence[tuple[bytes, ...]]]]) -> None:
        try:
            with self._connection:
                for statement, rows in statements:
                    self._connection.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, "no space left for the cache") from error
            raise


def _connected(rows: Sequence[int], links: Sequence[tuple[int, int]]) -> list[int]:
    """``rows`` and whatever ``links`` connect to them."""
    neighbours: dict[int, list[int]] = {}
    for a, b in links:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    found, waiting = set(rows), list(rows)
    while waiting:
        for other in neighbours.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return sorted(found)
