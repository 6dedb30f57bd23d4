"""Decoded pixels on disk: memory-mapped, appended to, keyed by content, safe to delete or to be cut off."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.progress import SILENT, Progress
from emolab.training import rows
from emolab.training.decode import Preprocessing, decode_many


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

    The store may be deleted or cut off at any instant (see :mod:`emolab.training.rows`); those of other sizes, colours
    and ways of decoding go when there are more than four.
    """
    file = folder / f"pixels-{wanted.size}-{wanted.color}-v{wanted.version}" / "pixels.u8"
    shape = (wanted.size, wanted.size, wanted.channels)
    missing = len(set(ids) - rows.known(file))
    with (
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        progress.task("Decoding", missing, unit="images") if missing else nullcontext() as task,
    ):

        def decoded(part: list[str]) -> NDArray[np.uint8]:
            made = decode_many([media(key) for key in part], wanted, pool=pool)
            if task:
                task.advance(len(part))
            return made

        array, places = rows.fill(file, ids, decoded, dtype=np.uint8, shape=shape)
    rows.forget_others(file.parent)
    return Pixels(array, places)
