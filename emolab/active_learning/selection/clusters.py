"""K-means over directions: where the pool's samples lie close together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection import space as reading
from emolab.active_learning.selection.space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Points per cluster that seeds are drawn from, and that centers are found from; all others are only assigned.
SEEDED, SAMPLE = 16, 40
#: Rounds of assigning and averaging: on the few points first, then on the many.
ROUNDS, LAST = 3, 1
#: Seeds drawn at a time, and how many of them are kept.
DRAWN, KEPT = 64, 16


def kmeans(space: Space, k: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Centers (at most ``k``, d) of the usable points, of which there must be one, in :meth:`Space.steps`.

    Fewer when there are fewer different points. Seeds by greedy k-means++ (Arthur & Vassilvitskii 2007), then rounds
    of assigning and averaging (Lloyd 1982), on ``SAMPLE`` points per cluster that ``rng`` draws. Products and sums
    are of whole numbers, so that the answer is the same for any number of threads and any size of chunks.
    """
    drawn = rng.permutation(np.flatnonzero(space.usable))[: k * SAMPLE].copy()
    few = space.part(drawn[: k * SEEDED])
    centers = few.steps(_seeds(few, k, rng))
    for sample in [few] * ROUNDS + [space.part(drawn)] * LAST:
        _average(sample, assign(sample, centers), centers)
    return centers


def assign(space: Space, centers: NDArray[np.float32]) -> NDArray[np.int32]:
    """The nearest of ``centers`` (k, d) of :func:`kmeans` for every point, (c,); -1 where it cannot be used."""
    label = np.full(len(space), -1, dtype=np.int32)
    half = np.einsum("kd,kd->k", centers, centers) / 2
    for part, steps in space.stepped():
        near = steps @ centers.T
        near -= half
        label[part] = np.where(space.usable[part], near.argmax(axis=1), -1)
    return label


def _seeds(sample: Space, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of up to ``k`` different points, far apart and amid many.

    Points are drawn ``DRAWN`` at a time with chances in proportion to the squared distance to the nearest seed. Of
    these the ``KEPT`` that bring the points nearest to seeds, one after the other, become seeds.
    """
    seeds = [int(rng.integers(len(sample)))]
    distance = np.empty((DRAWN, len(sample)), dtype=np.float32)
    _distances(sample, np.array(seeds), out=distance[:1])
    nearest = distance[0].copy()
    while len(seeds) < k and nearest.any():
        before = nearest.cumsum(dtype=np.float64)
        drawn = np.searchsorted(before, rng.random(DRAWN) * before[-1], side="right")
        _distances(sample, drawn.clip(max=np.flatnonzero(nearest)[-1]), out=distance)
        for _ in range(min(KEPT, k - len(seeds))):
            np.minimum(distance, nearest, out=distance)
            left = distance.sum(axis=1, dtype=np.float64)
            leader = int(left.argmin())
            if left[leader] == nearest.sum(dtype=np.float64):
                break
            seeds.append(int(drawn[leader]))
            nearest = distance[leader].copy()
    return np.array(seeds)


def _distances(sample: Space, seeds: NDArray[np.int64], *, out: NDArray[np.float32]) -> None:
    """Write squared distances in steps from ``seeds`` to all points to ``out`` (s, m)."""
    centers = sample.steps(seeds)
    own = np.einsum("sd,sd->s", centers, centers)[:, None]
    for part, steps in sample.stepped():
        near = centers @ steps.T
        near *= -2
        near += own
        near += np.einsum("md,md->m", steps, steps)
        out[:, part] = near


def _average(sample: Space, label: NDArray[np.int32], centers: NDArray[np.float32]) -> None:
    """Move ``centers`` to the mean of the points with their ``label``; those without points stay."""
    count = np.bincount(label, minlength=len(centers))
    order = label.argsort(kind="stable")
    end = count.cumsum()
    for cluster in np.flatnonzero(count):
        total = np.zeros(centers.shape[1])
        for start in range(end[cluster] - count[cluster], end[cluster], reading.CHUNK):
            total += sample.steps(order[start : min(start + reading.CHUNK, end[cluster])]).sum(axis=0)
        centers[cluster] = np.rint(total / count[cluster])
