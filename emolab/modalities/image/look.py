"""What an image looks like in 32 x 32 grey pixels, by which copies are found."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

#: Pixels along each side of a look, whatever the shape of the image.
SIDE = 32


def look(image: Image.Image) -> NDArray[np.uint8]:
    """``image`` as a look: (SIDE, SIDE)."""
    from PIL.Image import Resampling

    gray = image if image.mode == "L" else image.convert("L")
    return np.asarray(gray.resize((SIDE, SIDE), Resampling.BILINEAR, reducing_gap=2.0))


#: Unsure bits on either side that a copy may have swapped, and how many hashes that makes.
UNSURE = 3
PROBES = 1 + UNSURE**2 + (UNSURE * (UNSURE - 1) // 2) ** 2
#: With less contrast (standard deviation of grey, 0..255) or with other numbers of bits set, a hash says nothing.
FLAT, FEWEST_ONES, MOST_ONES = 5.0, 24, 40


class LookHash(NamedTuple):
    """64 ``bits``, whether each of the 8 x 8 lowest frequencies is above their median (pHash, Zauner 2010), the numbers
    of the three that are nearest to it among those ``on`` and ``off``, and whether there is enough to see."""

    bits: NDArray[np.bool_]
    on: NDArray[np.int64]
    off: NDArray[np.int64]
    usable: bool


def look_hash(small: NDArray[np.float32]) -> LookHash:
    """The hash of the grey levels ``small`` (SIDE, SIDE), which were reduced with a smooth filter."""
    basis = cosines()
    low = (basis @ small @ basis.T).ravel()
    above = low - np.partition(low[1:], 31)[31]
    bits = above > 0
    order = np.argsort(np.abs(above), kind="stable")
    usable = float(small.std()) >= FLAT and FEWEST_ONES <= int(bits.sum()) <= MOST_ONES
    return LookHash(bits, order[bits[order]][:UNSURE], order[~bits[order]][:UNSURE], usable)


def known_by(seen: NDArray[np.uint8]) -> list[int]:
    """Numbers by which a copy of another size or quality is known: the look's own hash first, then those of 18 copies
    in which unsure bits are swapped (multi-probe, Lv et al. 2007). None where the look ``seen`` (SIDE, SIDE) shows too
    little.

    >>> known_by(np.full((SIDE, SIDE), 7, np.uint8))
    []
    """
    found = look_hash(seen.astype(np.float32))
    if not found.usable:
        return []
    whole = int.from_bytes(np.packbits(found.bits).tobytes(), "big")
    return [whole, *(whole ^ swapped for swapped in _swaps(found.on.tolist(), found.off.tolist()))]


def _swaps(on: list[int], off: list[int]) -> Iterator[int]:
    """Which bits of a number of 64 are turned around: one or two of ``on``, and as many of ``off``."""
    for count in (1, 2):
        for left in combinations(on, count):
            for right in combinations(off, count):
                yield sum(1 << (63 - each) for each in (*left, *right))


@cache
def cosines() -> NDArray[np.float32]:
    """The 8 lowest waves of a cosine transform of SIDE values: (8, SIDE)."""
    n = np.arange(SIDE)
    return np.cos(np.pi * (2 * n[None, :] + 1) * np.arange(8)[:, None] / (2 * SIDE)).astype(np.float32)
