"""Samples between two classes, one of each kind: the smallest margins, clustered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.clusters import assign, kmeans
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.selection.space import NO_EMBEDDING, Space
from emolab.active_learning.strategies import (
    NO_PREDICTION,
    candidate_probs,
    candidate_scores,
    closeness,
    needs,
    opinion,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Candidates clustered per pick.
CLOSE = 10


@needs("probs", "embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    """One candidate of each of ``n`` clusters of small margins; the score is that of ``margin``, 1 minus the gap.

    After Cluster-Margin (Citovsky et al. 2021, "Batch active learning at scale"), with k-means in place of their
    hierarchical clusters: of the ``CLOSE`` times ``n`` candidates with the smallest margins, ``n`` clusters are made by
    direction, and of each the member nearest to the middle is picked. Smallest margin first. Where there are fewer
    different directions than ``n``, the smallest margins left fill up, then what has no prediction or embedding.
    """
    assert pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    space = Space.over(pool.embeddings, pool.candidates)
    scores = candidate_scores(pool, closeness)
    scores[~space.usable] = np.nan
    usable = np.isfinite(scores)
    near = np.sort(best(scores, min(CLOSE * n, int(usable.sum()))))
    middle, alike = _middles(space.part(near), n, rng)
    middle = middle[best(scores[near[middle]], len(middle))]
    picked = near[middle]
    reasons = [_reason(pool, *pick) for pick in zip(candidate_probs(pool, picked), alike[middle].tolist(), strict=True)]
    left = np.where(usable, scores, -1.0)
    left[picked] = -np.inf
    rest = best(left, n)[: n - len(picked)]
    last = zip(candidate_probs(pool, rest), rest, strict=True)
    reasons += [_why_last(pool, space, row, position) for row, position in last]
    chosen = np.concatenate([picked, rest])
    return Picks(pool.candidates[chosen], scores[chosen], reasons)


def _middles(space: Space, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the points nearest to the centers of ``n`` clusters, and how many share a cluster with each (c,)."""
    if not len(space):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    centers = kmeans(space, n, rng)
    cluster = assign(space, centers)
    square = np.einsum("kd,kd->k", centers, centers)
    apart = np.empty(len(space))
    for part, steps in space.stepped():
        near = (steps @ centers.T)[np.arange(len(steps)), cluster[part]]
        apart[part] = square[cluster[part]] - 2 * near + np.einsum("md,md->m", steps, steps)
    order = np.lexsort((apart, cluster))
    _, first = np.unique(cluster[order], return_index=True)
    return order[first], np.bincount(cluster)[cluster]


def _reason(pool: Pool, row: NDArray[np.float64], alike: int) -> str:
    said = opinion(pool, row)
    return f"{said}, as on {alike - 1} similar ones" if alike > 1 else f"{said}, on nothing else like it"


def _why_last(pool: Pool, space: Space, row: NDArray[np.float64], position: np.int64) -> str:
    if np.isnan(row[0]):
        return NO_PREDICTION
    if not space.usable[position]:
        return NO_EMBEDDING
    return f"{opinion(pool, row)}, as on one chosen before"
