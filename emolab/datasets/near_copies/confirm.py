"""Whether two looks show one picture: laid over each other to a fraction of a pixel, do their details agree?

Each pair is aligned as a whole (Lucas and Kanade 1981, in the inverse form of Baker and Matthews 2004): moved, turned
and stretched until the difference, after the best change of brightness and contrast, is smallest; first at half the
size, and what is not alike there is dropped, then in full. What counts is the correlation of what is left when all
that is coarse has been taken out: coarse light and shade are the same in the faces of many strangers.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.near_copies.warp import grid, sample, transform
from emolab.modalities.image.look import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

#: Correlation at half the size below which a pair is not looked at in full.
MAYBE = 0.7
#: Steps of the alignment at half the size, and in full.
STEPS = (2, 4)
#: Pairs aligned in one go: what is in work must stay in the processor's cache.
TOGETHER = 128
#: The longest step, in halves of a picture, and the smallest part of a picture that the other may show.
LONGEST = 0.15
PART = 0.7
#: Levels beyond which a pixel may have been clipped when brightness changed, and how much such pixels count.
CLIPPED = (4, 250)
LITTLE = 0.1
#: Pixels at the border that fade out, of :data:`SIDE`.
FADE = 4


def agreement(
    looks: NDArray[np.uint8],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    mirrored: NDArray[np.bool_],
    starts: NDArray[np.float32],
) -> Floats:
    """How much the details agree, -1 to 1 (m,), of rows ``first`` and ``second`` of ``looks`` (n, side, side).

    ``mirrored`` (m,): the second is to be mirrored. ``starts`` (m, 2, 3): which part of the first shows the second.
    """
    found = np.full(len(first), -1, dtype=np.float32)
    for begin in range(0, len(first), TOGETHER):
        rows = slice(begin, begin + TOGETHER)
        found[rows] = _agree(looks[first[rows]], _turned(looks[second[rows]], mirrored[rows]), starts[rows])
    return found


def _turned(looks: NDArray[np.uint8], mirrored: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(mirrored[:, None, None], looks[:, :, ::-1], looks)


def _agree(moving: NDArray[np.uint8], fixed: NDArray[np.uint8], warps: Floats) -> Floats:
    half_moving, half_fixed = _half(moving), _half(fixed)
    warps = _align(_blur(half_moving, 0.8), _blur(half_fixed, 0.8), warps, STEPS[0])
    found = _compare(half_moving, half_fixed, warps)
    close = np.flatnonzero(found >= MAYBE)
    if len(close):
        full_moving, full_fixed = moving[close].astype(np.float32), fixed[close].astype(np.float32)
        warps = _align(_blur(full_moving, 0.8), _blur(full_fixed, 0.8), warps[close], STEPS[1])
        found[close] = _compare(full_moving, full_fixed, warps)
    return found


def _align(moving: Floats, fixed: Floats, warps: Floats, steps: int) -> Floats:
    """``warps`` (n, 2, 3) improved by ``steps`` steps, so that ``moving`` under them equals ``fixed``."""
    n, side = len(fixed), fixed.shape[1]
    x, y, one = grid(side).T
    down, right = np.gradient(fixed, 2 / side, axis=(1, 2))
    down, right = down.reshape(n, -1), right.reshape(n, -1)
    target = fixed.reshape(n, -1)
    weight = _window(side)
    slopes = np.stack([right * x, right * y, right, down * x, down * y, down, target, target * 0 + one], axis=1)
    weighted = slopes * weight
    normal = weighted @ slopes.transpose(0, 2, 1)
    diagonal = np.einsum("nii->ni", normal)
    diagonal += diagonal * np.float32(1e-3) + np.float32(1e-3)
    solve = np.linalg.inv(normal) @ weighted
    middle, spread = _moments(target, weight)
    for _ in range(steps):
        shown, inside = sample(moving, warps)
        mean, deviation = _moments(shown, weight)
        rest = ((shown - mean) * (spread / deviation) + middle - target) * inside
        step = np.clip((solve @ rest[:, :, None])[:, :6, 0], -LONGEST, LONGEST).reshape(n, 2, 3)
        warps = _undo(warps, step)
    return warps


def _undo(warps: Floats, step: Floats) -> Floats:
    """``warps`` after the inverse of (identity + ``step``)."""
    a, b, c, d = step[:, 0, 0] + 1, step[:, 0, 1], step[:, 1, 0], step[:, 1, 1] + 1
    inverse = np.stack([np.stack([d, -b], axis=1), np.stack([-c, a], axis=1)], axis=1) / (a * d - b * c)[:, None, None]
    linear = warps[:, :, :2] @ inverse
    return np.concatenate([linear, warps[:, :, 2:] - linear @ step[:, :, 2:]], axis=2)


def _compare(moving: Floats, fixed: Floats, warps: Floats) -> Floats:
    """The correlation of details (n,); -1 where the pictures overlap too little or one is far more distorted."""
    n, side = len(fixed), fixed.shape[1]
    shown, inside = sample(moving, warps)
    overlap = inside * _window(side)
    clipped = (np.maximum(shown, fixed.reshape(n, -1)) > CLIPPED[1]) | (
        np.minimum(shown, fixed.reshape(n, -1)) < CLIPPED[0]
    )
    weight = np.where(clipped, np.float32(LITTLE), np.float32(1)) * overlap
    ours, theirs = _detail(shown.reshape(fixed.shape)), _detail(fixed)
    (a, da), (b, db) = _moments(ours, weight), _moments(theirs, weight)
    product = ((ours - a) * (theirs - b) * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-6)
    size = np.linalg.svd(warps[:, :, :2], compute_uv=False)
    fits = (size.min(axis=1) > PART) & (size.max(axis=1) < 1 / PART) & (overlap.sum(axis=1) > 0.5 * _window(side).sum())
    return np.where(fits, product / (da * db)[:, 0], np.float32(-1)).astype(np.float32)


def _moments(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation (n, 1) of ``values`` (n, p); the deviation is never quite 0."""
    total = np.maximum(weight.sum(axis=-1, keepdims=True), 1e-6)
    mean = (values * weight).sum(axis=1, keepdims=True) / total
    square = (values * values * weight).sum(axis=1, keepdims=True) / total
    return mean, np.sqrt(np.maximum(square - mean * mean, 1e-6))


def _detail(pictures: Floats) -> Floats:
    """What lies between fine noise and coarse shade, flat (n, side²)."""
    scale = pictures.shape[1] / SIDE
    found: Floats = _blur(pictures, 0.6 * scale) - _blur(pictures, 2.5 * scale)
    return found.reshape(len(pictures), -1)


def _blur(pictures: Floats, sigma: float) -> Floats:
    kernel = _kernel(sigma, pictures.shape[1])
    return transform(pictures, kernel)


@cache
def _kernel(sigma: float, side: int) -> Floats:
    at = np.arange(side)
    kernel = np.exp(-((at[:, None] - at[None, :]) ** 2) / (2 * sigma * sigma))
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True), dtype=np.float32)


def _half(looks: NDArray[np.uint8]) -> Floats:
    parts = looks.astype(np.float32).reshape(len(looks), SIDE // 2, 2, SIDE // 2, 2)
    return np.asarray(parts.sum(axis=(2, 4)) / np.float32(4))


@cache
def _window(side: int) -> Floats:
    at = np.arange(side)
    fade = np.sin(np.clip((np.minimum(at, side - 1 - at) + 0.5) / (FADE * side / SIDE), 0, 1) * np.pi / 2) ** 2
    return np.outer(fade, fade).ravel().astype(np.float32)
