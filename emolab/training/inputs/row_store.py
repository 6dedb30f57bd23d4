"""Rows of equal size on disk, one per sample: memory-mapped, appended to, safe to delete or to be cut off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import DTypeLike, NDArray

from emolab.errors import DataError
from emolab.files import write_bytes

KEY_BYTES = 65  # 64 hex digits and a newline
CHUNK = 256
KEYS = "keys.txt"
#: How many bytes a row has.
RECORD = "record"
#: Stores of one kind that are kept, the last ones used.
KEEP = 4
#: From sample ids to rows and the ids they are of.
Make = Callable[[list[str]], tuple[NDArray[Any], list[str]]]


def fill(
    file: Path,
    ids: Sequence[str],
    make: Make,
    *,
    dtype: DTypeLike,
    shape: tuple[int, ...],
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """All rows (m, *shape) kept in ``file`` and where those of the samples ``ids`` (64 hex digits each) stand in it.

    ``make`` is asked for the rows of samples not kept yet, 256 at a time, and says of which of them it gives some; the
    others stand at -1. Beside ``file`` lies ``keys.txt`` with one id
    per row. Rows are written first and keys after them, both are cut to the shorter at the next start, so a process
    may die at any instant. One process fills a file at a time.
    """
    kind = np.dtype(dtype)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.parent / "lock"):
        record = kind.itemsize * int(np.prod(shape))
        known = _recover(file, record)
        (file.parent / RECORD).write_text(str(record), encoding="ascii")
        new = [key for key in dict.fromkeys(ids) if key not in known]
        if new:
            _append(file, new, make, kind=kind, shape=shape, known=known)
    whole = (len(known), *shape)
    array: NDArray[Any] = np.memmap(file, dtype=kind, mode="r", shape=whole) if known else np.empty(whole, kind)
    return array, np.array([known.get(key, -1) for key in ids], dtype=np.int64)


def known(file: Path) -> set[str]:
    """The ids with a key beside ``file``, without a lock; to say how much there is to do."""
    keys = file.parent / KEYS
    return set(keys.read_text(encoding="ascii").split()) if keys.is_file() else set()


def drop(store: Path, ids: Collection[str]) -> int:
    """Take the rows of ``ids`` out of the folder ``store``; how many went. Nothing of them is left in its files.

    The keys go first and come back last: a process that dies on the way leaves a store without keys, which is emptied
    here and filled again later. So is one of which nobody noted how long a row is.
    """
    keys, noted = store / KEYS, store / RECORD
    with FileLock(store / "lock"):
        there = keys.read_text(encoding="ascii").split() if keys.is_file() else []
        kept = [row for row, key in enumerate(there) if key not in ids]
        if there and len(kept) == len(there):
            return 0
        keys.unlink(missing_ok=True)
        for file in _rows_of(store):
            if noted.is_file() and kept:
                size = int(noted.read_text(encoding="ascii"))
                rows = np.fromfile(file, dtype=np.uint8)[: size * len(there)].reshape(-1, size)
                kept = [row for row in kept if row < len(rows)]
                write_bytes(file, rows[kept].tobytes())
            else:
                kept = []
                file.unlink()
        if kept:
            write_bytes(keys, "".join(f"{there[row]}\n" for row in kept).encode("ascii"))
    return len(there) - len(kept)


def torn(store: Path) -> bool:
    """Whether rows lie in ``store`` of which nobody can say whose they are."""
    return not (store / KEYS).is_file() and bool(_rows_of(store))


def _rows_of(store: Path) -> list[Path]:
    return [file for file in sorted(store.iterdir()) if file.is_file() and file.name not in (KEYS, RECORD, "lock")]


def forget_others(store: Path) -> None:
    """Delete the folders of the kind of ``store``, which is in use, that were not used for longest, all but ``KEEP``.

    The kind is the name up to its first dash. One that another process uses stays.
    """
    (store / KEYS).touch()
    kind = store.name.partition("-")[0]
    stores = sorted(store.parent.glob(f"{kind}-*"), key=_last_used, reverse=True)
    for old in stores[KEEP:]:
        with suppress(Timeout), FileLock(old / "lock", blocking=False):
            shutil.rmtree(old)


def _last_used(store: Path) -> float:
    """When ``store`` was used, in seconds; 0 for one whose keys were deleted."""
    keys = store / KEYS
    return keys.stat().st_mtime if keys.is_file() else 0.0


def _recover(file: Path, record: int) -> dict[str, int]:
    """Cut both files to the rows that are complete in each; row by id."""
    keys = file.parent / KEYS
    for place in (file, keys):
        place.touch()
    n = min(file.stat().st_size // record, keys.stat().st_size // KEY_BYTES)
    os.truncate(file, n * record)
    os.truncate(keys, n * KEY_BYTES)
    return {key: row for row, key in enumerate(keys.read_text(encoding="ascii").split())}


def _append(
    file: Path,
    new: list[str],
    make: Make,
    *,
    kind: np.dtype[Any],
    shape: tuple[int, ...],
    known: dict[str, int],
) -> None:
    with file.open("ab") as rows, (file.parent / KEYS).open("ab") as keys:
        for start in range(0, len(new), CHUNK):
            part = new[start : start + CHUNK]
            if any(len(key) != KEY_BYTES - 1 for key in part):
                raise DataError("Sample ids must be 64 hex digits to key a cache.")
            made, given = make(part)
            if made.shape != (len(given), *shape) or made.dtype != kind:
                raise ValueError(f"got rows {made.shape} {made.dtype}; expected {(len(given), *shape)} {kind}")
            rows.write(np.ascontiguousarray(made).data)
            rows.flush()
            os.fsync(rows.fileno())
            keys.write("".join(f"{key}\n" for key in given).encode("ascii"))
            keys.flush()
            for key in given:
                known[key] = len(known)
