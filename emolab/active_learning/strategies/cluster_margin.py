"""Samples between two classes, one of each kind: the smallest margins, clustered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning import space as reading
from emolab.active_learning.clusters import assign, kmeans
from emolab.active_learning.pool import Picks, Pool
from emolab.active_learning.ranking import best
from emolab.active_learning.space import NO_EMBEDDING, Space
from emolab.active_learning.strategies import NO_PREDICTION, candidate_probs, closeness, named, needs

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
    probs = candidate_probs(pool)
    space = Space.over(pool.embeddings, pool.candidates)
    usable = space.usable & np.isfinite(probs[:, 0])
    scores = np.where(usable, closeness(probs), np.nan)
    near = np.sort(best(scores, min(CLOSE * n, int(usable.sum()))))
    middle, alike = _middles(Space(space.embeddings, space.rows[near], space.scale[near]), n, rng)
    middle = middle[best(scores[near[middle]], len(middle))]
    picked = near[middle]
    reasons = [_reason(pool, probs[near[i]], int(alike[i])) for i in middle]
    left = np.where(usable, scores, -1.0)
    left[picked] = -np.inf
    rest = best(left, n)[: n - len(picked)]
    reasons += [_why_last(pool, space, row, position) for row, position in zip(probs[rest], rest, strict=True)]
    chosen = np.concatenate([picked, rest])
    return Picks(pool.candidates[chosen], scores[chosen], reasons)


def _middles(space: Space, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the points nearest to the centers of ``n`` clusters, and how many share a cluster with each (c,)."""
    if not len(space):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    centers = kmeans(space, n, rng)
    cluster = assign(space, centers)
    apart = np.empty(len(space))
    for start in range(0, len(space), reading.CHUNK):
        part = slice(start, start + reading.CHUNK)
        away = space.steps(part) - centers[cluster[part]]
        apart[part] = np.einsum("md,md->m", away, away, dtype=np.float64)
    order = np.lexsort((apart, cluster))
    _, first = np.unique(cluster[order], return_index=True)
    return order[first], np.bincount(cluster)[cluster]


def _reason(pool: Pool, row: NDArray[np.float64], alike: int) -> str:
    torn = f"model torn between {' and '.join(named(pool, row, 2))}"
    return f"{torn}, as on {alike - 1} like it" if alike > 1 else f"{torn}, on nothing else like it"


def _why_last(pool: Pool, space: Space, row: NDArray[np.float64], position: np.int64) -> str:
    if np.isnan(row[0]):
        return NO_PREDICTION
    if not space.usable[position]:
        return NO_EMBEDDING
    return f"model torn between {' and '.join(named(pool, row, 2))}, as on a pick before"
