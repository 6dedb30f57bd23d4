"""A Bloom filter: which keys a set holds, in a few bits per key, with false positives at a known rate and no misses.

Bloom 1970, "Space/time trade-offs in hash coding with allowable errors". The positions of a key come from two numbers
by enhanced double hashing (Dillinger & Manolios 2004); plain double hashing has half as many false positives again at
a rate of 1 in 10,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Fewer bits than this would make the rate of a tiny filter a matter of luck.
FEWEST_BITS = 512


@dataclass(frozen=True, eq=False)
class BloomFilter:
    """``bits`` (m / 8,) uint8, of which each key sets ``hashes``."""

    bits: NDArray[np.uint8]
    hashes: int

    @classmethod
    def of(cls, keys: NDArray[np.uint64], *, rate: float) -> BloomFilter:
        """A filter of ``keys`` (n, 2), two independent numbers each, with false positives at about ``rate`` (0..1)."""
        n = max(1, len(keys))
        m = max(FEWEST_BITS, 8 * math.ceil(-n * math.log(rate) / math.log(2) ** 2 / 8))
        found = cls(np.zeros(m // 8, dtype=np.uint8), max(1, round(-math.log2(rate))))
        for place in found._places(keys):
            np.bitwise_or.at(found.bits, (place >> np.uint64(3)).astype(np.int64), _bit(place))
        return found

    def has(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of ``keys`` (n, 2) are in the set: (n,). Never False for one that is."""
        found = np.ones(len(keys), dtype=bool)
        for place in self._places(keys):
            found &= (self.bits[(place >> np.uint64(3)).astype(np.int64)] & _bit(place)) > 0
        return found

    def _places(self, keys: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
        first, step = keys[:, 0], keys[:, 1] | np.uint64(1)
        m = np.uint64(8 * len(self.bits))
        with np.errstate(over="ignore"):
            return [(first + np.uint64(i) * step + np.uint64((i**3 - i) // 6)) % m for i in range(self.hashes)]


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Two numbers for each of ``numbers`` (n,): (n, 2), by the finaliser of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        return np.stack([_finalised(numbers + np.uint64(seed)) for seed in (0x9E3779B97F4A7C15, 0x3C6EF372FE94F82A)], 1)


def _finalised(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _bit(place: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return (np.uint64(1) << (place & np.uint64(7))).astype(np.uint8)
