"""Small square pictures turned, scaled and moved, many at once."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: Where a pixel of the result comes from: (2, 3), from (x, y, 1) to (x, y), both from -1 to 1 across the picture.
    Warp = NDArray[np.float32]


def similar(*, scale: float = 1.0, degrees: float = 0.0, x: float = 0.0, y: float = 0.0) -> Warp:
    """The warp that shows the part of size ``scale`` turned by ``degrees``, ``x`` and ``y`` (-1..1) as far off the
    middle as the size leaves room."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    room = 1 - scale
    return np.array(
        [[scale * cosine, -scale * sine, room * x], [scale * sine, scale * cosine, room * y]], dtype=np.float32
    )


def bilinear(pictures: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """``pictures`` (n, side, side) warped alike; beyond the border the border goes on."""
    if warp[0, 1] == warp[1, 0] == 0:  # nothing turned: two products, which take a tenth of the time
        across, down = (_weights(pictures.shape[1], float(warp[i, i]), float(warp[i, 2])) for i in (0, 1))
        found = transform(pictures.astype(np.float32), down, across)
        return (found + np.float32(0.5)).astype(np.uint8)
    at, x, y, _ = _sources(pictures.shape[1], warp[None])
    found = _mixed(pictures.reshape(len(pictures), -1), at[0], x[0], y[0], pictures.shape[1], axis=1)
    return (found + np.float32(0.5)).astype(np.uint8).reshape(pictures.shape)


def sample(
    pictures: NDArray[np.float32], warps: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each of ``pictures`` (n, side, side) under its own of ``warps`` (n, 2, 3), flat: (n, side²).

    With it 1 for pixels that come from inside of the picture, 0 for others.
    """
    n, side = pictures.shape[:2]
    at, x, y, inside = _sources(side, warps)
    at += (np.arange(n) * (side * side))[:, None]
    return _mixed(np.ascontiguousarray(pictures).reshape(-1), at, x, y, side, axis=0), inside


def transform(
    pictures: NDArray[np.float32], matrix: NDArray[np.float32], right: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """``matrix`` (k, side) from the left and ``right`` (by default the same), transposed, from the right of each of
    ``pictures`` (n, side, side).

    As two large products; many small ones take four times as long.
    """
    n, side, k = len(pictures), pictures.shape[1], len(matrix)
    other = matrix if right is None else right
    across = np.ascontiguousarray((pictures.reshape(-1, side) @ other.T).reshape(n, side, k).transpose(0, 2, 1))
    return (across.reshape(-1, side) @ matrix.T).reshape(n, k, k).transpose(0, 2, 1)


@cache
def _weights(side: int, scale: float, shift: float) -> NDArray[np.float32]:
    """How the pixels of a line (side, side) mix under a warp of one direction."""
    at, x, _, _ = _sources(side, np.array([[[scale, 0, shift], [0, 1, 0]]], dtype=np.float32))
    column, part = at[0, :side] % side, x[0, :side]
    found = np.zeros((side, side), dtype=np.float32)
    rows = np.arange(side)
    found[rows, column] = 1 - part
    found[rows, column + 1] += part
    return found


@cache
def grid(side: int) -> NDArray[np.float32]:
    """The centres (side², 3) of the pixels as (x, y, 1), from -1 to 1, row by row."""
    line = (np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side, dtype=np.float32)], axis=1)


def _sources(
    side: int, warps: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """For each pixel of the result (n, side²) the upper left of the four it is mixed from, how far right and down of
    it it lies, and whether that is inside of the picture (1 or 0)."""
    where = warps @ grid(side).T
    inside = (np.abs(where).max(axis=1) <= 1).astype(np.float32)
    where = np.clip(where * np.float32(side / 2) + np.float32(side / 2 - 0.5), 0, side - 1)
    low = np.minimum(where.astype(np.int32), side - 2)
    part = where - low
    return (low[:, 1] * side + low[:, 0]).astype(np.int64), part[:, 0], part[:, 1], inside


def _mixed(
    flat: NDArray[Any], at: NDArray[np.int64], x: NDArray[np.float32], y: NDArray[np.float32], side: int, *, axis: int
) -> NDArray[np.float32]:
    corners = [flat.take(at + step, axis=axis).astype(np.float32, copy=False) for step in (0, 1, side, side + 1)]
    upper = corners[0] + x * (corners[1] - corners[0])
    lower = corners[2] + x * (corners[3] - corners[2])
    found: NDArray[np.float32] = upper + y * (lower - upper)
    return found
