"""Samples that are farthest from anything labelled: greedy k-center."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.pool import Picks, Pool
from emolab.active_learning.ranking import best
from emolab.active_learning.strategies import needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of the pool read at a time (32 MB as float32 at 512 dimensions).
CHUNK = 16_384
#: Candidates looked at closely between two passes over the pool.
BLOCK = 2_048
#: Squared distances are rounded to this step, above the noise of float32, so that equal points tie exactly.
STEP = 2.0**-20


@needs("embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates that greedy k-center picks; the score is the distance to the nearest known or picked one.

    Again and again the candidate whose nearest labelled, pending or already picked sample is the farthest away
    (Sener & Savarese 2018, "Active learning for convolutional neural networks: a core-set approach"). Distances are
    Euclidean between embeddings of length 1, so 0..2. Good for coverage and against near copies, weak at telling
    what the model does not know.

    Exact, but not one pass over the pool per pick: distances only shrink, so among the ``BLOCK`` farthest candidates
    greedy picks are right as long as they stay farther than everybody outside the block; then one matrix product
    brings all distances up to date. With nothing labelled the first pick is the most central candidate. Candidates
    with NaN in their embedding come last.
    """
    assert pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    rows = pool.candidates
    space = _Space.over(pool.embeddings, rows)
    nearest = np.where(space.usable, np.inf, -1.0).astype(np.float32)
    anchored = False
    for start in range(0, len(pool.known), BLOCK):
        known = _unit(pool.embeddings[pool.known[start : start + BLOCK]])
        known = known[np.isfinite(known).all(axis=1)]
        if len(known):
            space.approach(nearest, known)
            anchored = True
    picked: list[int] = []
    scores: list[float] = []
    reasons: list[str] = []
    if not anchored and space.usable.any():
        first = space.most_central()
        space.approach(nearest, space.units(np.array([first])))
        picked, scores = [first], [float(np.sqrt(nearest.max()))]
        reasons = ["the most central one: nothing is labelled yet"]
        nearest[first] = -1.0
    reachable = min(n, int(space.usable.sum()))
    while len(picked) < reachable:
        for position, squared in _pick(space, nearest, reachable - len(picked)):
            picked.append(position)
            scores.append(float(np.sqrt(squared)))
            reasons.append(f"farthest from anything labelled or picked (distance {scores[-1]:.2f})")
    blind = np.flatnonzero(~space.usable)[: n - len(picked)]
    picked += blind.tolist()
    scores += [float("nan")] * len(blind)
    reasons += ["the model gave no usable embedding for it"] * len(blind)
    return Picks(rows[np.array(picked, dtype=np.int64)], np.array(scores), reasons)


def _pick(space: _Space, nearest: NDArray[np.float32], n: int) -> list[tuple[int, float]]:
    """Up to ``n`` greedy picks as (position, squared distance); brings ``nearest`` up to date, -1 for the picked."""
    block = np.sort(best(nearest.astype(np.float64), BLOCK))
    outside = np.ones(len(nearest), dtype=bool)
    outside[block] = False
    bound = float(nearest[outside].max(initial=-1.0))
    close = space.units(block)
    lengths = np.einsum("md,md->m", close, close)
    distance = nearest[block].copy()
    original = distance.copy()
    found: list[tuple[int, float]] = []
    while len(found) < n:
        leader = int(distance.argmax())
        reached = float(distance[leader])
        # At the bound itself only a distance that has not shrunk is sure to precede equals outside the block.
        if reached < 0 or reached < bound or (reached == bound and distance[leader] != original[leader]):
            break
        found.append((int(block[leader]), reached))
        np.fmin(distance, _squared(close, close[leader : leader + 1], lengths), out=distance)
        distance[leader] = original[leader] = -1.0
    picked = np.array([position for position, _ in found])
    space.approach(nearest, space.units(picked))
    nearest[picked] = -1.0
    return found


@dataclass(frozen=True)
class _Space:
    """The candidates' embeddings, read in chunks; positions count candidates in the order of their ids."""

    embeddings: NDArray[np.floating[Any]]
    rows: NDArray[np.int64]
    usable: NDArray[np.bool_]

    @classmethod
    def over(cls, embeddings: NDArray[np.floating[Any]], rows: NDArray[np.int64]) -> _Space:
        usable = np.empty(len(rows), dtype=bool)
        for start in range(0, len(rows), CHUNK):
            part = embeddings[rows[start : start + CHUNK]]
            usable[start : start + CHUNK] = np.isfinite(part).all(axis=1)
        return cls(embeddings, rows, usable)

    def units(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings of these candidates, scaled to length 1."""
        return _unit(self.embeddings[self.rows[positions]])

    def approach(self, nearest: NDArray[np.float32], centers: NDArray[np.float32]) -> None:
        """Lower ``nearest``, the squared distances of all candidates, by what ``centers`` (p, d) are closer."""
        for start in range(0, len(self.rows), CHUNK):
            part = slice(start, start + CHUNK)
            distance = _squared(_unit(self.embeddings[self.rows[part]]), centers)
            np.fmin(nearest[part], distance, out=nearest[part])

    def most_central(self) -> int:
        """The usable candidate nearest to the mean of all."""
        total = np.zeros(self.embeddings.shape[1], dtype=np.float64)
        for start in range(0, len(self.rows), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(self.rows)))
            total += self.units(part[self.usable[part]]).sum(axis=0, dtype=np.float64)
        distance = np.full(len(self.rows), np.inf, dtype=np.float32)
        self.approach(distance, (total / self.usable.sum())[None, :].astype(np.float32))
        return int(np.where(self.usable, distance, np.inf).argmin())


def _unit(rows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """``rows`` (m, d) as float32, scaled to length 1; zero rows stay zero."""
    values = np.array(rows, dtype=np.float32)
    length = np.sqrt(np.einsum("md,md->m", values, values))
    values /= np.where(length > 0, length, np.float32(1))[:, None]
    return values


def _squared(
    points: NDArray[np.float32], centers: NDArray[np.float32], lengths: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Squared distances (m,) from ``points`` (m, d) to the nearest of ``centers`` (p, d), rounded to :data:`STEP`.

    ``lengths`` (m,) are the squared lengths of the points, where they are known already.
    """
    if lengths is None:
        lengths = np.einsum("md,md->m", points, points)
    own = np.einsum("pd,pd->p", centers, centers)
    distance = lengths - (points @ (2 * centers.T) - own).max(axis=1)
    rounded = np.rint(distance / np.float32(STEP)) * np.float32(STEP)
    return np.asarray(np.maximum(rounded, 0), dtype=np.float32)
