"""Decoded pixels on disk: memory-mapped, appended to, keyed by content, safe to delete or to be cut off."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.progress import SILENT, Progress
from emolab.training.decode import VERSION, Preprocessing, decode_many

KEY_BYTES = 65  # 64 hex digits and a newline
CHUNK = 256


@dataclass(frozen=True)
class Pixels:
    """A stack of images: ``array`` (m, size, size, channels) uint8, of which ``rows`` (n,) are meant, in order."""

    array: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy (b, size, size, channels) of the images at ``indices`` into ``rows``."""
        return np.ascontiguousarray(self.array[self.rows[indices]])

    @classmethod
    def of(cls, array: NDArray[np.uint8]) -> Pixels:
        """All of ``array``."""
        return cls(array, np.arange(len(array), dtype=np.int64))


def fill(
    folder: Path,
    ids: Sequence[str],
    media: Callable[[str], bytes | Path],
    wanted: Preprocessing,
    *,
    progress: Progress = SILENT,
) -> Pixels:
    """The pixels of the samples ``ids`` (64 hex digits each), decoding only those not decoded before.

    A store is two files: ``pixels.u8`` with one record per image and ``keys.txt`` with one id per record. Pixels are
    written first and keys after them, both are cut to the shorter at the next start, so a process may die at any
    instant. One process fills a store at a time.
    """
    store = folder / f"pixels-{wanted.size}-{wanted.color}-v{VERSION}"
    store.mkdir(parents=True, exist_ok=True)
    record = wanted.size * wanted.size * wanted.channels
    with FileLock(store / "lock"):
        known = _recover(store, record)
        new = [key for key in dict.fromkeys(ids) if key not in known]
        if new:
            _append(store, new, media, wanted=wanted, known=known, progress=progress)
    n = len(known)
    shape = (n, wanted.size, wanted.size, wanted.channels)
    array: NDArray[np.uint8] = (
        np.memmap(store / "pixels.u8", dtype=np.uint8, mode="r", shape=shape) if n else np.empty(shape, np.uint8)
    )
    return Pixels(array, np.array([known[key] for key in ids], dtype=np.int64))


def _recover(store: Path, record: int) -> dict[str, int]:
    """Cut both files to the records that are complete in each; row by id."""
    pixels, keys = store / "pixels.u8", store / "keys.txt"
    for file in (pixels, keys):
        file.touch()
    n = min(pixels.stat().st_size // record, keys.stat().st_size // KEY_BYTES)
    os.truncate(pixels, n * record)
    os.truncate(keys, n * KEY_BYTES)
    return {key: row for row, key in enumerate(keys.read_text(encoding="ascii").split())}


def _append(
    store: Path,
    new: list[str],
    media: Callable[[str], bytes | Path],
    *,
    wanted: Preprocessing,
    known: dict[str, int],
    progress: Progress,
) -> None:
    with (
        (store / "pixels.u8").open("ab") as pixels,
        (store / "keys.txt").open("ab") as keys,
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        progress.task("Decoding", len(new), unit="images") as task,
    ):
        for start in range(0, len(new), CHUNK):
            part = new[start : start + CHUNK]
            if any(len(key) != KEY_BYTES - 1 for key in part):
                raise DataError("Sample ids must be 64 hex digits to key the pixel cache.")
            pixels.write(decode_many([media(key) for key in part], wanted, pool=pool).tobytes())
            pixels.flush()
            os.fsync(pixels.fileno())
            keys.write("".join(f"{key}\n" for key in part).encode("ascii"))
            keys.flush()
            for key in part:
                known[key] = len(known)
            task.advance(len(part))
