"""Greedy choice of samples that much of the pool resembles, and nothing asked before does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection import space as reading
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.selection.space import GRID, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Up to so many candidates all are compared with all; of more, so many stand for the pool.
LIMIT = 10_000
#: Candidates whose resemblance to all references is worked out at a time.
BLOCK = 64
#: Known samples at most whose nearest neighbour among all known ones counts for the radius.
ASKED = 2_048
#: Resemblances and weights are counted in so many whole steps: their sums are exact in any order.
FULL = 2**16


def herd(
    space: Space, known: Space, weight: NDArray[np.float64], order: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of ``n`` points of ``space``, and by what share (0..1) each brings the whole nearer to all.

    The whole is the weighted mean, over reference points, of the resemblance to the most similar known or picked
    point: exp(-distance² / radius²), with :func:`radius`. Each pick adds the most to it (Bae et al. 2024,
    "Generalized coverage for more robust low-budget active learning").

    ``order`` (c,) are the usable positions in the order in which they stand for the pool: the first ``LIMIT`` are
    the references, the first ``LIMIT`` or ``n`` may be picked. ``weight`` (c,) is 0..1. Gains only shrink, so old
    ones are bounds: only the ``BLOCK`` candidates with the highest are looked at again (Minoux 1978).
    """
    reference = np.sort(order[:LIMIT])
    cover = _Cover(space, reference, np.rint(weight[reference] * FULL), radius(known))
    for start in range(0, len(known), BLOCK):
        part = slice(start, start + BLOCK)
        cover.add(known.steps(part)[known.usable[part]])
    candidates = np.sort(order[: max(LIMIT, n)])
    bound = np.empty(len(candidates))
    for start in range(0, len(candidates), BLOCK):
        part = slice(start, start + BLOCK)
        bound[part] = cover.gain(cover.resemblance(space.steps(candidates[part])))
    picked: list[int] = []
    gains: list[float] = []
    while len(picked) < n:
        for place, gain in _pick(cover, space, candidates, bound, n - len(picked)):
            picked.append(int(candidates[place]))
            gains.append(gain / cover.total)
    return np.array(picked, dtype=np.int64), np.array(gains)


def radius(known: Space) -> float:
    """The median distance of a known point to the nearest other one; 1 where there are no two different ones.

    Copies have no distance and do not count. The published rule takes the smallest distance instead (Bae et al. 2025),
    which one near copy brings to nothing.
    """
    usable = np.flatnonzero(known.usable)
    asked = usable[np.linspace(0, len(usable) - 1, min(len(usable), ASKED)).astype(np.int64)]
    nearest = np.full(len(asked), np.inf)
    for start in range(0, len(asked), BLOCK):
        some = known.steps(asked[start : start + BLOCK])
        own = np.einsum("md,md->m", some, some)[:, None]
        for first in range(0, len(usable), reading.CHUNK):
            others = known.steps(usable[first : first + reading.CHUNK])
            apart = own + np.einsum("md,md->m", others, others) - 2 * (some @ others.T)
            closest = np.where(apart > 0, apart, np.inf).min(axis=1)
            np.minimum(nearest[start : start + BLOCK], closest, out=nearest[start : start + BLOCK])
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(np.sqrt(nearest))) / GRID if len(nearest) else 1.0


class _Cover:
    """How well the references are covered so far, in steps: the state that picks change."""

    def __init__(self, space: Space, reference: NDArray[np.int64], weight: NDArray[np.float64], radius: float) -> None:
        self.references = np.empty((len(reference), space.embeddings.shape[1]), dtype=np.float32)
        for start in range(0, len(reference), reading.CHUNK):
            part = slice(start, start + reading.CHUNK)
            self.references[part] = space.steps(reference[part])
        self.square = np.einsum("rd,rd->r", self.references, self.references)
        self.factor = np.float32(-1 / (GRID * max(radius, 1 / GRID)) ** 2)
        self.weight = weight
        self.covered = np.zeros(len(reference), dtype=np.float32)
        self.total = max(float(weight.sum()) * FULL, 1.0)

    def resemblance(self, steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of points (m, d) in steps to all references (m, r), in whole steps 0..``FULL``."""
        apart = steps @ self.references.T
        apart *= -2
        apart += self.square
        apart += np.einsum("md,md->m", steps, steps)[:, None]
        apart *= self.factor
        np.exp(apart, out=apart)
        apart *= FULL
        return np.asarray(np.rint(apart, out=apart))

    def gain(self, alike: NDArray[np.float32]) -> NDArray[np.float64]:
        """What points with these resemblances (m, r) would add, (m,); a sum of whole numbers below 2**53."""
        more = alike - self.covered
        np.maximum(more, 0, out=more)
        return np.asarray(more.astype(np.float64) @ self.weight)

    def add(self, steps: NDArray[np.float32]) -> None:
        """Points (m, d) in steps now cover what resembles them."""
        if len(steps):
            np.maximum(self.covered, self.resemblance(steps).max(axis=0), out=self.covered)


def _pick(
    cover: _Cover, space: Space, candidates: NDArray[np.int64], bound: NDArray[np.float64], n: int
) -> list[tuple[int, float]]:
    """Up to ``n`` greedy picks as (place, gain); brings ``bound`` down to newer gains, -1 for the picked."""
    block = np.sort(best(bound, BLOCK))
    outside = bound.copy()
    outside[block] = -1
    rival = int(outside.argmax())
    alike = cover.resemblance(space.steps(candidates[block]))
    gain = np.where(bound[block] < 0, -1, cover.gain(alike))
    fresh = np.ones(len(block), dtype=bool)
    found: list[tuple[int, float]] = []
    while len(found) < n:
        leader = int(gain.argmax())
        # Of equals the first counts, so at the rival's bound only one that stands before it is sure.
        if gain[leader] < max(outside[rival], 0) or (gain[leader] == outside[rival] and block[leader] > rival):
            break
        if not fresh[leader]:
            gain[leader] = cover.gain(alike[leader : leader + 1])[0]
            fresh[leader] = True
            continue
        found.append((int(block[leader]), float(gain[leader])))
        np.maximum(cover.covered, alike[leader], out=cover.covered)
        gain[leader] = -1
        fresh[:] = False
    bound[block] = gain
    return found
