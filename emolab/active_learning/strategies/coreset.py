"""Samples that are farthest from anything labelled: greedy k-center."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.selection.space import NO_EMBEDDING, Space, rounded
from emolab.active_learning.strategies import needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Most candidates looked at closely at a time; fewer where these would be much of the pool.
BLOCK = 2_048


@needs("embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates that greedy k-center picks; the score is the distance to the nearest known or picked one.

    Again and again the candidate whose nearest labelled, pending or already picked sample is the farthest away
    (Sener & Savarese 2018, "Active learning for convolutional neural networks: a core-set approach"). Distances are
    Euclidean between embeddings of length 1, so 0..2. Good for coverage and against near copies, weak at telling
    what the model does not know.

    Exact, but not one pass over the pool per pick: distances only shrink, so old ones are bounds. Among the ``BLOCK``
    candidates with the highest bounds, brought up to date, greedy picks are right as long as they stay farther than
    every bound outside; then comes the next block, and only what may be next is looked at again. With nothing
    labelled the first pick is the most central candidate. Candidates with NaN in their embedding come last.
    """
    assert pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    known = Space.over(pool.embeddings, pool.known)
    anchors = np.flatnonzero(known.usable)
    space, nearest = Space.around(pool.embeddings, pool.candidates, known.units(anchors[:BLOCK]))
    nearest[~space.usable] = -1.0
    for start in range(BLOCK, len(anchors), BLOCK):
        space.approach(nearest, known.units(anchors[start : start + BLOCK]))
    picked: list[int] = []
    scores: list[float] = []
    reasons: list[str] = []
    if not len(anchors) and space.usable.any():
        first = space.most_central()
        space.approach(nearest, space.units(np.array([first])))
        picked, scores = [first], [float(np.sqrt(nearest.max()))]
        reasons = ["the most typical of all: nothing is labelled yet"]
        nearest[first] = -1.0
    seen = np.full(len(space), len(picked), dtype=np.int32)
    reachable = min(n, int(space.usable.sum()))
    while len(picked) < reachable:
        block = _block(space, nearest, seen, picked)
        for position, squared in _pick(space, nearest, block, reachable - len(picked)):
            picked.append(position)
            scores.append(float(np.sqrt(squared)))
            reasons.append("unlike anything labelled or chosen so far")
        seen[block] = len(picked)
    blind = np.flatnonzero(~space.usable)[: n - len(picked)]
    picked += blind.tolist()
    scores += [float("nan")] * len(blind)
    reasons += [NO_EMBEDDING] * len(blind)
    return Picks(pool.candidates[np.array(picked, dtype=np.int64)], np.array(scores), reasons)


def _block(space: Space, nearest: NDArray[np.float32], seen: NDArray[np.int32], picked: list[int]) -> NDArray[np.int64]:
    """Positions, ascending, of the points with the highest ``nearest``, all of them up to date.

    ``seen`` (c,) is how many of ``picked`` each of ``nearest`` takes into account. Twice as many points as before are
    brought up to date until the highest stay the highest, so each point meets each pick once at most.
    """
    size = wide = min(BLOCK, max(256, len(space) // 40))
    while (seen[block := np.sort(best(nearest, size))] < len(picked)).any():
        wide *= 2
        old = np.sort(best(nearest, wide))
        old = old[seen[old] < len(picked)]
        for count in np.unique(seen[old]):
            some = old[seen[old] == count]
            closer = nearest[some]
            space.part(some).approach(closer, space.units(np.array(picked[count:])))
            nearest[some] = closer
        seen[old] = len(picked)
    return block


def _pick(space: Space, nearest: NDArray[np.float32], block: NDArray[np.int64], n: int) -> list[tuple[int, float]]:
    """Up to ``n`` greedy picks of ``block`` as (position, squared distance); brings ``nearest`` of it up to date."""
    outside = np.ones(len(nearest), dtype=bool)
    outside[block] = False
    bound = float(nearest[outside].max(initial=-1.0))
    close = space.units(block)
    square = (space.scale[block] != 0).astype(np.float32)
    distance = nearest[block]
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
    nearest[block] = distance
    return found
