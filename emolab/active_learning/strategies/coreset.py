"""Samples that are farthest from anything labelled: greedy k-center."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.pool import Picks, Pool
from emolab.active_learning.ranking import best
from emolab.active_learning.space import NO_EMBEDDING, Space, rounded
from emolab.active_learning.strategies import needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Most candidates looked at closely between two passes over the pool; fewer where these would be much of the pool.
BLOCK = 2_048


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
    space = Space.over(pool.embeddings, pool.candidates)
    known = Space.over(pool.embeddings, pool.known)
    anchors = np.flatnonzero(known.usable)
    nearest = np.where(space.usable, np.inf, -1.0).astype(np.float32)
    for start in range(0, len(anchors), BLOCK):
        space.approach(nearest, known.units(anchors[start : start + BLOCK]))
    picked: list[int] = []
    scores: list[float] = []
    reasons: list[str] = []
    if not len(anchors) and space.usable.any():
        first = space.most_central()
        space.approach(nearest, space.units(np.array([first])))
        picked, scores = [first], [float(np.sqrt(nearest.max()))]
        reasons = ["the most central one: nothing is labelled yet"]
        nearest[first] = -1.0
    reachable = min(n, int(space.usable.sum()))
    while len(picked) < reachable:
        found = _pick(space, nearest, reachable - len(picked))
        for position, squared in found:
            picked.append(position)
            scores.append(float(np.sqrt(squared)))
            reasons.append(f"farthest from anything labelled or picked (distance {scores[-1]:.2f})")
        if len(picked) < reachable:
            space.approach(nearest, space.units(np.array(picked[-len(found) :])))
            nearest[picked] = -1.0
    blind = np.flatnonzero(~space.usable)[: n - len(picked)]
    picked += blind.tolist()
    scores += [float("nan")] * len(blind)
    reasons += [NO_EMBEDDING] * len(blind)
    return Picks(pool.candidates[np.array(picked, dtype=np.int64)], np.array(scores), reasons)


def _pick(space: Space, nearest: NDArray[np.float32], n: int) -> list[tuple[int, float]]:
    """Up to ``n`` greedy picks as (position, squared distance); the caller brings ``nearest`` up to date."""
    size = min(BLOCK, max(256, len(space) // 40))
    block = np.sort(best(nearest, size))
    outside = np.ones(len(nearest), dtype=bool)
    outside[block] = False
    bound = float(nearest[outside].max(initial=-1.0))
    close = space.units(block)
    square = (space.scale[block] != 0).astype(np.float32)
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
        np.fmin(distance, rounded(square + square[leader] - 2 * (close @ close[leader])), out=distance)
        distance[leader] = original[leader] = -1.0
    return found
