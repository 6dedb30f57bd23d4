"""The embeddings of some rows of a pool, read in chunks and seen as directions (length 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows read at a time. Small enough for a chunk to stay in a core's own cache (0.5 MB as float32 at 512 dimensions).
CHUNK = 256
#: Centers compared with a chunk at a time.
CENTERS = 256
#: Squared distances are rounded to this step, above the noise of float32, so that equal points tie exactly.
STEP = 2.0**-20

#: Steps per unit of :meth:`Space.steps`: products of two directions stay below 2**24, what float32 counts exactly.
GRID = 2_048

NO_EMBEDDING = "the model gave no usable embedding for it"


@dataclass(frozen=True)
class Space:
    """c points: ``rows`` (c,) of ``embeddings`` (n, d), which may be memory-mapped float16.

    A *position* counts points, 0..c-1. ``scale`` (c,) is 1 / length; 0 where the embedding is zero; NaN where it
    cannot be used (it contains NaN or infinity). Never more than one chunk of the embeddings is held as float32.
    """

    embeddings: NDArray[np.floating[Any]]
    rows: NDArray[np.int64]
    scale: NDArray[np.float32]

    @classmethod
    def over(cls, embeddings: NDArray[np.floating[Any]], rows: NDArray[np.int64]) -> Space:
        """The space of ``rows``; reads them once, for their lengths."""
        return cls.around(embeddings, rows, np.empty((0, embeddings.shape[1]), dtype=np.float32))[0]

    @classmethod
    def around(
        cls, embeddings: NDArray[np.floating[Any]], rows: NDArray[np.int64], centers: NDArray[np.float32]
    ) -> tuple[Space, NDArray[np.float32]]:
        """The space of ``rows``, and the squared distances (c,) to the nearest of ``centers`` (p, d), in one reading.

        As :meth:`over` and :meth:`approach` after it; infinite without centers and for points that cannot be used.
        """
        embeddings = np.asarray(embeddings)  # no longer a memmap, whose slices are slow to make; still not read
        scale, nearest = np.empty(len(rows), np.float32), np.full(len(rows), np.inf, np.float32)
        distance = _distance_to(centers)
        for part, values in _chunks(embeddings, rows):
            scale[part] = _scale(values)
            if len(centers):
                _blank(values, np.isfinite(scale[part]))
                np.fmin(nearest[part], distance(values, scale[part]), out=nearest[part])
        return cls(embeddings, rows, scale), nearest

    def __len__(self) -> int:
        """c."""
        return len(self.rows)

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Which points have an embedding to go by, (c,)."""
        return np.isfinite(self.scale)

    def values(self, positions: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Embeddings of these points as they are, (m, d)."""
        return _widened(self.embeddings[self.rows[positions]])

    def units(self, positions: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Embeddings of these points scaled to length 1, (m, d); zero ones stay zero, unusable ones are NaN."""
        values = self.values(positions)
        values *= self.scale[positions, None]
        return values

    def steps(self, positions: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Directions of these points in whole steps of 1 / :data:`GRID`, (m, d); zeros where they cannot be used.

        Products of these, at most ``GRID ** 2``, are whole numbers that float32 adds up without rounding, in any
        order: the same on every machine, for any number of threads and any size of chunks.
        """
        return _stepped(self.values(positions), self.scale[positions])

    def part(self, positions: NDArray[np.int64]) -> Space:
        """The space of these points alone."""
        return Space(self.embeddings, self.rows[positions], self.scale[positions])

    def stepped(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All points in order, as :meth:`chunks`, but in :meth:`steps`."""
        for part, values in _chunks(self.embeddings, self.rows):
            yield part, _stepped(values, self.scale[part])

    def chunks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All points in order: (positions, embeddings as they are (m, d)), zeros for those that cannot be used.

        The next chunk overwrites the one before: what is to stay must be copied.
        """
        for part, values in _chunks(self.embeddings, self.rows):
            _blank(values, self.usable[part])
            yield part, values

    def approach(self, nearest: NDArray[np.float32], centers: NDArray[np.float32]) -> None:
        """Lower ``nearest`` (c,), squared distances, to those from the nearest of ``centers`` (p, d).

        Centers have length 1 or 0, as :meth:`units` gives them. Points that cannot be used keep what they have.
        """
        distance = _distance_to(centers)
        for part, values in self.chunks():
            np.fmin(nearest[part], distance(values, self.scale[part]), out=nearest[part])

    def most_central(self) -> int:
        """The usable point nearest to the mean of all; there must be one."""
        total = np.zeros(self.embeddings.shape[1], dtype=np.float64)
        for part, values in self.chunks():
            total += np.nan_to_num(self.scale[part]) @ values
        mean = (total / self.usable.sum()).astype(np.float32)
        distance = np.full(len(self), np.inf, dtype=np.float32)
        for part, values in self.chunks():
            square = self.scale[part] != 0
            distance[part] = np.rint((square + mean @ mean - 2 * (values @ mean) * self.scale[part]) / STEP)
        return int(np.where(self.usable, distance, np.inf).argmin())


def rounded(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances rounded to :data:`STEP`, none below 0."""
    return np.asarray(np.maximum(np.rint(distance / np.float32(STEP)) * np.float32(STEP), 0), dtype=np.float32)


def _chunks(
    embeddings: NDArray[np.floating[Any]], rows: NDArray[np.int64]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """``rows`` of ``embeddings`` in order, ``CHUNK`` at a time: (places in ``rows``, embeddings as they are (m, d))."""
    shape = min(CHUNK, len(rows)), embeddings.shape[1]
    read = np.empty(shape, dtype=embeddings.dtype)
    wide = np.empty(shape, dtype=np.float32) if embeddings.dtype == np.float16 else read
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        values = read[: len(rows[part])]
        if embeddings.flags.c_contiguous:
            np.take(embeddings, rows[part], axis=0, out=values, mode="clip")
        else:
            values[:] = embeddings[rows[part]]
        yield part, _widened(values, wide[: len(values)])


def _stepped(values: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings (m, d) of these ``scale`` (m,), in place, in whole steps; zeros where they cannot be used."""
    by = scale * np.float32(GRID)
    if not np.isfinite(by).all():
        blind = np.isnan(by)
        values[blind] = by[blind] = 0
    values *= by[:, None]
    return np.rint(values, out=values)


def _blank(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> None:
    """Make the rows of ``values`` (m, d) that are not ``usable`` (m,) zero."""
    if not usable.all():
        values[~usable] = 0


def _distance_to(
    centers: NDArray[np.float32],
) -> Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]:
    """What tells of embeddings (m, d) and their scales (m,) the squared distances to the nearest of ``centers``."""
    blank = ~centers.any(axis=1)
    others = centers[~blank] if blank.any() else centers

    def distance(values: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
        square = (scale != 0).astype(np.float32)
        found = square if len(others) < len(centers) else np.full(len(values), np.inf, dtype=np.float32)
        for start in range(0, len(others), CENTERS):
            near = values @ others[start : start + CENTERS].T
            closest = near[np.arange(len(near)), near.argmax(axis=1)]  # in half the time of max
            found = np.minimum(found, square + 1 - 2 * closest * scale)
        return rounded(found)

    return distance


def _widened(values: NDArray[np.floating[Any]], wide: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """``values`` as float32; of float16 by moving bits, equal to NumPy's cast and four times as fast.

    In ``wide`` where that is given and needed. Exponents of infinity and NaN, which bits alone would make numbers of
    2**16 and more, become NaN.
    """
    if values.dtype != np.float16:
        return values.astype(np.float32, copy=False)
    wide = np.empty(values.shape, dtype=np.float32) if wide is None else wide
    bits = wide.view(np.int32)
    np.copyto(bits, values.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70002000), out=bits)  # sign, exponent and fraction in their places
    np.multiply(wide, np.float32(2.0**112), out=wide)
    if wide.size and max(wide.max(), -wide.min()) >= 2.0**16:
        wide[np.abs(wide) >= 2.0**16] = np.nan
    return wide


def _scale(values: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", divide="ignore"):
        length = np.sqrt(np.einsum("md,md->m", values, values))
        return np.where(length > 0, np.where(np.isfinite(length), 1 / length, np.nan), length).astype(np.float32)
