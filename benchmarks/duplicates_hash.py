"""The search for near copies by 64-bit hashes that emolab used before: the baseline of ``benchmarks.duplicates``.

The search is exact and never compares all pairs: cut 64 bits into ``radius + c`` bands and at least ``c`` of them are
equal in any pair within the radius (pigeonhole; multi-index hashing, Norouzi et al. 2012), so sorting by each choice
of ``c`` bands brings every such pair together.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Bits that may differ.
RADIUS = 4


def near_pairs(hashes: NDArray[np.uint64], radius: int = RADIUS) -> NDArray[np.int64]:
    """Every pair of rows of ``hashes`` that differ in at most ``radius`` bits: (m, 2), each once, smaller row first.

    ``hashes`` must be distinct values; raises :class:`ValueError` for a radius outside 0..31.
    """
    if not 0 <= radius < 32:
        raise ValueError(f"radius {radius} is not between 0 and 31")
    if radius == 0 or len(hashes) < 2:
        return np.empty((0, 2), dtype=np.int64)
    common = _common_bands(len(hashes), radius)
    masks = _band_masks(radius + common)
    found: list[NDArray[np.int64]] = [np.empty((0, 2), dtype=np.int64)]
    for chosen in combinations(masks, common):
        mask = np.bitwise_or.reduce(np.array(chosen, dtype=np.uint64))
        for first, second in _same_key(hashes & mask):
            near = np.bitwise_count(hashes[first] ^ hashes[second]) <= radius
            found.append(np.stack([first[near], second[near]], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    code = np.unique(pairs[:, 0] * len(hashes) + pairs[:, 1])
    return np.stack(np.divmod(code, len(hashes)), axis=1)


def groups(hashes: NDArray[np.uint64], *, radius: int = RADIUS) -> NDArray[np.int64]:
    """The number of the group each row belongs to: (n,); steps of ``radius`` bits connect its rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct, which = np.unique(hashes, return_inverse=True)
    pairs = near_pairs(distinct, radius)
    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(len(distinct),) * 2)
    component: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return component[which]


def usable(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes say something: (n,).

    By construction half of the bits of a real picture are set; ties, as in a flat one, leave few or almost all.
    """
    ones = np.bitwise_count(hashes)
    return (ones >= 24) & (ones <= 40)


def _common_bands(n: int, radius: int) -> int:
    """How many bands must be equal: enough bits that a key is shared by about one row of ``n``, at most three."""
    wanted = np.log2(max(n, 2))
    return next((c for c in (1, 2, 3) if 64 * c / (radius + c) >= wanted), 3)


def _band_masks(count: int) -> list[int]:
    edges = [round(i * 64 / count) for i in range(count + 1)]
    return [((1 << (b - a)) - 1) << a for a, b in pairwise(edges)]


def _same_key(keys: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Row pairs with equal keys, in blocks: neighbours in sorted order, then next but one, and so on."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    at: NDArray[np.int64] = np.arange(len(keys) - 1)
    step = 1
    while len(at):
        at = at[at + step < len(keys)]
        at = at[ordered[at] == ordered[at + step]]
        if len(at):
            yield order[at], order[at + step]
        step += 1
