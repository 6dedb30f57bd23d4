"""Which images might be copies of one another: short vectors, one matrix product, nearest angles.

The vector of a look (see :mod:`emolab.datasets.near_copies.thumbnails`) is its cosine transform up to a frequency,
projected on the directions in which images differ most *compared with how a copy differs from its original*: a linear
discriminant (Fisher 1936) whose scatter within a class is measured on warped copies of the looks themselves and of a
few noise fields with the spectrum of natural images, so that two images are enough to start with. Directions are even
or odd under mirroring, which makes the vector of the mirror image a change of signs. Crops off centre move a picture
further than the vectors forgive: they are compared as four more products, of crops at the corners with everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.near_copies.warp import bilinear, similar, transform
from emolab.modalities.image.look import SIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from emolab.datasets.near_copies.warp import Warp

    Floats = NDArray[np.float32]

#: Cosine of the angle from which a pair is looked at more closely: of two strangers among faces that all look into
#: the camera about one in 10,000 pairs reaches it.
NEAR = 0.82
#: The same for corners, of which there are four, and more strangers with them.
NEAR_CORNER = 0.86
#: Highest frequency, in half periods per picture, and the length of a vector.
FREQUENCIES = 12
LENGTH = 48
#: Pixels at the border that fade out: turned copies have corners of another colour.
FADE = 3
#: Looks and noise fields that the directions are learnt from, and warped copies of each.
LEARN_FROM = 1500
NOISE = 300
COPIES = 4
#: Side of the corner crops compared with everything.
CORNER = 0.94
#: Rows and columns of one part of a product, which must stay in the processor's cache, and the most candidates of one
#: row and product.
BLOCK = 512
TILE = 2048
PER_ROW = 64


@dataclass(frozen=True, slots=True)
class LookSpace:
    """Where looks become vectors: ``mean`` (f,), ``directions`` (f, k), ``signs`` (k,) of the mirror image."""

    mean: Floats
    directions: Floats
    signs: Floats

    def vectors(self, looks: NDArray[np.uint8]) -> Floats:
        """Unit vectors (n, k) of ``looks`` (n, side, side)."""
        parts = [np.empty((0, len(self.signs)), dtype=np.float32)]
        for start in range(0, len(looks), 2048):
            part = (_spectra(looks[start : start + 2048]) - self.mean) @ self.directions
            parts.append(_unit(part.astype(np.float32, copy=False)))
        return np.concatenate(parts)


def learn(looks: NDArray[np.uint8], *, seed: int = 0) -> LookSpace:
    """The space for ``looks`` (n, side, side), of which some are drawn with ``seed``."""
    from scipy.linalg import eigh

    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(looks))[:LEARN_FROM])
    pool = np.concatenate([looks[chosen], _noise(NOISE, rng)])
    plain = _spectra(pool)
    odd = _odd()
    signs = np.where(odd, -1, 1).astype(np.float32)
    within = np.zeros((plain.shape[1],) * 2)
    for _ in range(COPIES):
        for rows in np.array_split(rng.permutation(len(pool)), 24):
            change = _spectra(bilinear(pool[rows], _random_warp(rng))) - plain[rows]
            within += change.T @ change / (len(pool) * COPIES)
    both = np.concatenate([plain, plain * signs])
    mean = both.mean(axis=0)
    total = np.cov(both.T)
    alike = odd[:, None] == odd[None, :]
    within = within * alike + 0.02 * np.trace(within) / len(within) * np.eye(len(within))
    directions = eigh(total * alike, within)[1][:, ::-1][:, :LENGTH]
    weight = np.abs(directions)
    return LookSpace(
        mean=mean.astype(np.float32),
        directions=directions.astype(np.float32),
        signs=np.where(weight[odd].sum(axis=0) > weight[~odd].sum(axis=0), -1, 1).astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that might be copies: rows ``first`` and ``second`` (m,), whether ``second`` is to be ``mirrored`` (m,),
    which of :data:`STARTS` shows in the first what the second is (m,), and the cosine of their ``angle`` (m,).

    ``rows`` of the block they come from.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    start: NDArray[np.int8]
    angle: Floats
    rows: int


#: The parts of a picture that are compared: all of it, and its corners.
STARTS: tuple[Warp, ...] = (
    similar(),
    *(similar(scale=CORNER, x=x, y=y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)),
)


def candidates(looks: NDArray[np.uint8], space: LookSpace, *, fresh: int = 0) -> Iterator[Candidates]:
    """Pairs of ``looks`` with at least one row of ``fresh`` or above, in blocks of rows; a pair may come twice."""
    whole = space.vectors(looks)
    mirror = whole * space.signs
    n = len(looks)
    for begin in range(0, n, BLOCK):
        end = min(begin + BLOCK, n)
        found = []
        if end > fresh:  # in whole the order does not matter: each row of this block with every one before it
            top = max(begin, fresh)
            found.append(_near(whole[top:end], whole[:end], top, 0, start=0))
            found.append(_near(whole[top:end], mirror[:end], top, 0, start=0, mirrored=True))
        for number, warp in enumerate(STARTS[1:], 1):
            corner = space.vectors(bilinear(looks[begin:end], warp))
            low = 0 if begin >= fresh else fresh
            found.append(_near(corner, whole[low:], begin, low, start=number))
        yield _best(found, n)


def _near(rows: Floats, columns: Floats, row: int, column: int, *, start: int, mirrored: bool = False) -> Candidates:
    """Pairs of ``rows`` (numbered from ``row``) and ``columns`` (from ``column``) within the angle.

    Of one row no more than :data:`PER_ROW`, the nearest: what is a copy of more is a copy of their copies.
    """
    limit = NEAR_CORNER if start else NEAR
    parts = []
    for low in range(0, len(columns), TILE):
        angle = rows @ columns[low : low + TILE].T
        one, two = np.divmod(np.flatnonzero(angle >= limit), angle.shape[1])  # a tenth of the time of nonzero
        parts.append((one, two + low, angle[one, two]))
    first, second, near = (np.concatenate(part) for part in zip(*parts, strict=True))
    if start == 0:  # every pair once
        once = second + column < first + row
        first, second, near = first[once], second[once], near[once]
    order = np.lexsort((-near, first))
    first, second, near = first[order], second[order], near[order]
    keep = np.arange(len(first)) - np.searchsorted(first, first) < PER_ROW
    first, second, near = first[keep], second[keep], near[keep]
    other = first + row != second + column
    return Candidates(
        first=(first + row)[other],
        second=(second + column)[other],
        mirrored=np.full(int(other.sum()), mirrored),
        start=np.full(int(other.sum()), start, dtype=np.int8),
        angle=near[other],
        rows=len(rows),
    )


def _best(found: list[Candidates], n: int) -> Candidates:
    """Every pair once, as it came nearest; nearest pairs first."""
    first, second, mirrored, start, angle = (
        np.concatenate([getattr(each, name) for each in found])
        for name in ("first", "second", "mirrored", "start", "angle")
    )
    order = np.argsort(-angle, kind="stable")
    pair = np.minimum(first, second) * n + np.maximum(first, second)
    order = order[np.sort(np.unique(pair[order], return_index=True)[1])]
    return Candidates(first[order], second[order], mirrored[order], start[order], angle[order], found[-1].rows)


def _spectra(looks: NDArray[np.uint8]) -> Floats:
    """The low frequencies (n, f) of ``looks``, without their mean, of length 1."""
    basis, keep, window = _constants()
    pixels = looks.astype(np.float32)
    pixels -= (pixels * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    pixels *= window
    spectra = transform(pixels, basis)
    return _unit(spectra[:, keep])


@cache
def _constants() -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Cosines (f, side), which of (f, f) products are kept, and the window (side, side)."""
    n = np.arange(SIDE)
    f = np.arange(FREQUENCIES + 1)
    basis = np.cos(np.pi * (2 * n[None, :] + 1) * f[:, None] / (2 * SIDE)) * (2 / SIDE) ** 0.5
    radius = np.hypot(f[:, None], f[None, :])
    fade = np.sin(np.clip((np.minimum(n, SIDE - 1 - n) + 0.5) / FADE, 0, 1) * np.pi / 2) ** 2
    return (
        basis.astype(np.float32),
        (radius > 0) & (radius <= FREQUENCIES),
        np.outer(fade, fade).astype(np.float32),
    )


def _odd() -> NDArray[np.bool_]:
    """Which of the kept frequencies change their sign in the mirror."""
    keep = _constants()[1]
    across = np.broadcast_to(np.arange(FREQUENCIES + 1)[None, :], keep.shape)
    return np.asarray(across[keep] % 2 == 1)


def _noise(n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fields (n, side, side) whose amplitude falls with frequency as in photographs (Field 1987)."""
    f = np.fft.fftfreq(2 * SIDE)
    amplitude = 1 / np.maximum(np.hypot(f[:, None], f[None, :]), 1 / (2 * SIDE))
    waves = np.fft.fft2(rng.standard_normal((n, 2 * SIDE, 2 * SIDE))) * amplitude
    field = np.real(np.fft.ifft2(waves))[:, :SIDE, :SIDE]
    field = field - field.mean(axis=(1, 2), keepdims=True)
    levels = 128 + 50 * field / field.std(axis=(1, 2), keepdims=True)
    return np.asarray(levels.clip(0, 255), dtype=np.uint8)


def _random_warp(rng: np.random.Generator) -> Warp:
    scale, angle, x, y = rng.uniform((0.88, -4.0, -1.0, -1.0), (1.0, 4.0, 1.0, 1.0))
    return similar(scale=scale, degrees=angle, x=x, y=y)


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.float32(1e-6)))
