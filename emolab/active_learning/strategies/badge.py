"""Samples that would move the model far and in different directions: k-means++ on gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.selection.space import NO_EMBEDDING, Space
from emolab.active_learning.strategies import NO_PREDICTION, needs, opinion

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Picks between two passes over the pool at most, and candidates that race for them.
BLOCK = LOOK = 256
#: Predictions read at a time.
CHUNK = 4_096
#: Squared distances below this share of a gradient's squared length are rounding: the gradients are the same.
NOISE = 2.0**-17


@needs("probs", "embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    """``n`` candidates drawn by k-means++ on gradients; the score is the distance from the nearest gradient before.

    BADGE (Ash et al. 2020). The gradient of a sample is that of the loss in the last layer if the model's first guess
    were right: the outer product of (probabilities - first guess) and the embedding. It is long where the model is
    unsure. The longest comes first; then again and again a candidate is drawn with a chance in proportion to the
    squared distance of its gradient from the nearest one picked or pending (Arthur & Vassilvitskii 2007).

    Gradients are never written out: lengths and products of outer products are those of their factors. And the pool
    is not read once per pick: distances only shrink, so a candidate drawn by an old distance and kept with chance
    new / old is drawn by the new one. Drawing is a race: each candidate comes at an exponential time with its old
    squared distance as rate, the first ``LOOK`` to come are seen in order, and one matrix product per ``BLOCK`` picks
    brings all distances up to date. Candidates whose gradient is that of a pick, or zero, fill up; those without a
    prediction or embedding come last.
    """
    field = Gradients.over(pool, pool.candidates)
    nearest = np.where(field.usable, np.inf, 0.0).astype(np.float32)
    waiting = Gradients.over(pool, pool.order[(pool.pending & ~pool.labelled)[pool.order]])
    for start in range(0, len(waiting), BLOCK):
        field.approach(nearest, waiting.at(np.arange(start, min(start + BLOCK, len(waiting)))))
    picked: list[int] = []
    scores: list[float] = []
    if not field.square.any() and np.isinf(nearest).any():
        nearest[:] = 0  # the model is sure of everybody: there is nothing to tell apart
    if np.isinf(nearest).any():
        first = int(best(field.square.astype(np.float64), 1)[0])
        picked, scores = [first], [float(np.sqrt(field.square[first]))]
        field.approach(nearest, field.at(np.array([first])))
    while len(picked) < n and nearest.any():
        block = list(_race(field, nearest, n - len(picked), rng))
        picked += [position for position, _ in block]
        scores += [float(np.sqrt(squared)) for _, squared in block]
        if len(picked) < n:
            field.approach(nearest, field.at(np.array([position for position, _ in block])))
    reasons = [_reason(pool, field, position) for position in picked]
    left = np.where(field.usable, field.square, -1.0).astype(np.float64)
    left[picked] = -np.inf
    rest = best(left, n)[: n - len(picked)]
    reasons += [_why_not(field, position) for position in rest]
    made = np.concatenate([scores, np.where(field.usable[rest], 0.0, np.nan)])
    return Picks(pool.candidates[np.concatenate([picked, rest]).astype(np.int64)], made, reasons)


def _race(
    field: Gradients, nearest: NDArray[np.float32], n: int, rng: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Up to ``n`` draws as (position, squared distance), at least one.

    ``nearest`` may not be all zero; it becomes 0 for those drawn and stays old for everybody else.
    """
    ahead = rng.standard_exponential(len(nearest))
    with np.errstate(divide="ignore"):
        np.divide(ahead, nearest, out=ahead)
    np.negative(ahead, out=ahead)
    seen = best(ahead, min(LOOK, 2 * n))
    seen = seen[np.isfinite(ahead[seen])]
    time = -ahead[seen]
    gradients = field.at(seen)
    apart = gradients.squared_distances(gradients)
    old = nearest[seen]
    new = old.copy()
    events = list(zip(time.tolist(), range(len(seen)), strict=True))
    horizon = events[-1][0]
    heapify(events)
    drawn = 0
    while events and drawn < min(n, BLOCK):
        moment, who = heappop(events)
        if rng.random() * old[who] < new[who]:
            yield int(seen[who]), float(new[who])
            nearest[seen[who]] = 0
            np.minimum(new, apart[who], out=new)
            new[who] = 0
            drawn += 1
        elif new[who] > 0:
            again = moment + rng.standard_exponential() / float(old[who])
            if again <= horizon:
                heappush(events, (again, who))


@dataclass(frozen=True)
class Factors:
    """Some gradients as outer products: ``errors`` (m, k), ``values`` (m, d), squared lengths ``square`` (m,)."""

    errors: NDArray[np.float32]
    values: NDArray[np.float32]
    square: NDArray[np.float32]

    def squared_distances(self, centers: Factors) -> NDArray[np.float32]:
        """From each of these to each of ``centers`` (p of them): (m, p)."""
        apart: NDArray[np.float32] = self.values @ centers.values.T
        apart *= self.errors @ (-2 * centers.errors.T)
        apart += centers.square
        apart += self.square[:, None]
        apart[apart < NOISE * self.square[:, None]] = 0
        return apart


@dataclass(frozen=True)
class Gradients:
    """The gradients of some rows of a pool, factored; positions count those rows. Unusable ones are zero."""

    space: Space
    probs: NDArray[np.floating[Any]]
    usable: NDArray[np.bool_]
    square: NDArray[np.float32]

    @classmethod
    def over(cls, pool: Pool, rows: NDArray[np.int64]) -> Gradients:
        """Those of ``rows``; reads predictions and embeddings once, for their lengths."""
        assert pool.probs is not None and pool.embeddings is not None  # noqa: S101  what needs() names is there
        space = Space.over(pool.embeddings, rows)
        probs = np.asarray(pool.probs)
        usable, square = space.usable.copy(), np.zeros(len(rows), dtype=np.float32)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            usable[part] &= np.isfinite(probs[rows[part]]).all(axis=1)
            scale, errors = space.scale[part], _errors(probs[rows[part]])
            length = np.divide(1, scale, out=np.zeros_like(scale), where=usable[part] & (scale > 0))
            square[part] = np.einsum("mk,mk->m", errors, errors) * length**2
        return cls(space, probs, usable, square)

    def __len__(self) -> int:
        return len(self.square)

    def at(self, positions: NDArray[np.int64]) -> Factors:
        """The gradients at these ``positions``; zero for unusable ones."""
        values = self.space.values(positions)
        values[~self.usable[positions]] = 0
        return Factors(_errors(self.probs[self.space.rows[positions]]), values, self.square[positions])

    def approach(self, nearest: NDArray[np.float32], centers: Factors) -> None:
        """Lower ``nearest`` (c,), the squared distances of all, by what ``centers`` are closer."""
        for part, values in self.space.chunks():
            gradients = Factors(_errors(self.probs[self.space.rows[part]]), values, self.square[part])
            np.minimum(nearest[part], gradients.squared_distances(centers).min(axis=1), out=nearest[part])


def _errors(probs: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """``probs`` (m, k) less 1 at the first guess; 0 for rows that contain NaN."""
    errors = np.array(probs, dtype=np.float32)
    errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1
    errors[np.isnan(errors).any(axis=1)] = 0
    return errors


def _reason(pool: Pool, field: Gradients, position: int) -> str:
    row = np.asarray(field.probs[field.space.rows[position]], dtype=np.float64)
    return f"would teach the model something new; {opinion(pool, row)}"


def _why_not(field: Gradients, position: np.int64) -> str:
    if field.usable[position]:
        same = "the same as a pick before" if field.square[position] else "nothing: it is sure"
        return f"would teach the model {same}"
    return NO_PREDICTION if field.space.usable[position] else NO_EMBEDDING
