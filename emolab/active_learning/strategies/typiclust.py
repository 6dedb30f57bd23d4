"""Typical samples of the regions nobody has looked at yet: what to ask first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection import space as reading
from emolab.active_learning.selection.clusters import assign, kmeans
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.space import NO_EMBEDDING, Space
from emolab.active_learning.strategies import needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Clusters at most, as in the paper.
CLUSTERS = 500
#: Neighbours whose mean distance makes a sample typical or not, as in the paper.
NEIGHBOURS = 20
#: Members of a cluster among which neighbours are looked for; of a larger one that many, spread evenly by sample id.
MEMBERS = 1_024
#: Clusters of fewer candidates come after all others, as in the paper.
SMALL = 5


@needs("embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    """``n`` candidates, each the most typical of a cluster; the score is 1 / mean distance to its neighbours.

    TypiClust (Hacohen et al. 2022, "Active learning on a budget: opposite strategies suit high and low budgets"): as
    many clusters as there are labelled samples and picks together, ``CLUSTERS`` at most, and where few candidates are
    left no more than make ``SMALL`` of them each; those with the fewest
    labelled, pending or picked samples come first, of these the largest; from each the candidate with the smallest
    mean distance to its ``NEIGHBOURS`` nearest in the cluster. Made for the first few hundred labels.
    """
    assert pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    space = Space.over(pool.embeddings, pool.candidates)
    known = Space.over(pool.embeddings, pool.known)
    picked: list[int] = []
    scores: list[float] = []
    reasons: list[str] = []
    if space.usable.any():
        enough = max(n, int(space.usable.sum()) // SMALL)
        centers = kmeans(space, min(len(pool.known) + n, CLUSTERS, enough), rng)
        label = assign(space, centers)
        size = np.bincount(label[space.usable], minlength=len(centers))
        asked = np.bincount(assign(known, centers)[known.usable], minlength=len(centers))
        turns = _turns(size, asked, n)
        members = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label + 1))[:-1])[1:]
        found = {
            cluster: iter(list(islice(_typical(space, members[cluster]), count)))
            for cluster, count in Counter(turns).items()
        }
        for cluster in turns:
            position, score = next(found[cluster])
            picked.append(position)
            scores.append(score)
            reasons.append(_reason(int(size[cluster]), int(asked[cluster])))
            asked[cluster] += 1
    blind = np.flatnonzero(~space.usable)[: n - len(picked)]
    picked += blind.tolist()
    scores += [float("nan")] * len(blind)
    reasons += [NO_EMBEDDING] * len(blind)
    return Picks(pool.candidates[np.array(picked, dtype=np.int64)], np.array(scores), reasons)


def _turns(size: NDArray[np.int64], asked: NDArray[np.int64], n: int) -> list[int]:
    """The clusters to pick from, one after the other, up to ``n`` picks and no more from any than it has candidates."""
    waiting = [(int(m < SMALL), int(a), -int(m), c) for c, (m, a) in enumerate(zip(size, asked, strict=True)) if m]
    heapify(waiting)
    left = size.copy()
    turns: list[int] = []
    while waiting and len(turns) < n:
        small, before, order, cluster = heappop(waiting)
        turns.append(cluster)
        left[cluster] -= 1
        if left[cluster]:
            heappush(waiting, (small, before + 1, order, cluster))
    return turns


def _typical(space: Space, members: NDArray[np.int64]) -> Iterator[tuple[int, float]]:
    """All ``members`` of a cluster, the most typical first, with their typicality; copies of earlier ones last."""
    among = members[np.linspace(0, len(members) - 1, min(len(members), MEMBERS)).astype(np.int64)]
    others = space.steps(among)
    square = np.einsum("md,md->m", others, others)
    typicality = np.empty(len(members))
    for part, steps in space.part(members).stepped():
        apart = steps @ others.T
        apart *= -2
        apart += square
        apart += np.einsum("md,md->m", steps, steps)[:, None]
        apart[members[part, None] == among] = np.inf
        typicality[part] = _density(apart)
    seen: set[bytes] = set()
    copies: list[tuple[int, float]] = []
    for place in np.argsort(-typicality, kind="stable"):
        answer = int(members[place]), float(typicality[place])
        direction = space.steps(members[place : place + 1]).tobytes()
        if direction in seen:
            copies.append(answer)
            continue
        seen.add(direction)
        yield answer
    yield from copies


def _density(apart: NDArray[np.float32]) -> NDArray[np.float64]:
    """1 / mean distance to the nearest neighbours, from squared distances in steps (m, p), which it sorts in part.

    0 without neighbours.
    """
    near = min(NEIGHBOURS, apart.shape[1] - 1)
    if near < 1:
        return np.zeros(len(apart))
    apart.partition(near - 1, axis=1)
    closest = apart[:, :near].astype(np.float64)
    return np.asarray(1 / (np.sqrt(np.sort(closest, axis=1)).mean(axis=1) / reading.GRID + 1e-5))


def _reason(size: int, asked: int) -> str:
    before = f"{asked} asked about so far" if asked else "none asked about so far"
    return f"typical of {size:,} samples that are alike, {before}"
