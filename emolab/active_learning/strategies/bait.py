"""Samples whose labels would settle the most for the whole pool: Fisher information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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

#: Candidates compared, those with the smallest margins; they are held in memory (100 MB at 512 dimensions).
MOST = 50_000
#: Picks made for each that stays: the rest is taken back.
FORWARD = 2
#: Strength of the prior, where the mean squared length of an embedding is 1.
PRIOR = 0.01
#: Rows of candidates made ready at a time.
CHUNK = 512
#: Shares of a gain that rounding may hide; gains no further apart are equal.
ROUNDING = 1e-5
#: The same for gains kept up to date in single precision: the first picks of a pool without labels lower them some
#: 5,000 times, and their error of 6e-8 of what they were at first stays. Those of the best ``CONTENDERS`` that come
#: as near to the best one are measured in double precision, so that no processor's last digits decide.
DRIFT = 2e-3
CONTENDERS = 64


@needs("probs", "embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates that together leave the pool the least uncertain; the score is the share each takes away.

    BAIT (Ash et al. 2021, "Gone fishing: neural active learning with Fisher embeddings") with the binary information
    of the first guess p: each sample counts as x, its embedding times the root of p (1 - p), so that nothing depends
    on the number of classes. M sums x xᵀ over what is labelled, pending or picked, F is its mean over the pool, and
    the trace of inv(M) F is what remains to be learned.

    1. Twice ``n`` times the sample is picked whose label takes the most from the trace, then ``n`` times the pick is
       taken back that is missed the least.
    2. A pick changes M by one rank, so xᵀ inv(M) x and xᵀ inv(M) F inv(M) x of all candidates are kept up to date with
       two products of matrix and vector (Sherman & Morrison 1950).
    3. Embeddings are scaled to a mean squared length of 1: the prior then means the same for every model.

    Of more than ``MOST`` candidates those with the smallest margins are compared; all have a part in F. Strong with
    embeddings of a strong model; with weak ones it can end below ``random``.
    """
    assert pool.probs is not None and pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    space, asked = Space.over(pool.embeddings, pool.candidates), Space.over(pool.embeddings, pool.known)
    weight = np.where(space.usable, candidate_scores(pool, _doubt), np.nan)
    asked_weight = np.where(asked.usable, _doubt(np.asarray(pool.probs[pool.known], dtype=np.float64)), np.nan)
    usable = np.isfinite(weight)
    most = min(max(MOST, FORWARD * n), int(usable.sum()))
    near = np.sort(best(np.where(usable, candidate_scores(pool, closeness), np.nan), most))
    unit = _unit(space, asked)
    around, before = _information(space, weight) * unit**2, _information(asked, asked_weight) * unit**2
    labels = len(asked) + n
    state = _State.of(PRIOR * np.eye(len(around)) + before / labels, (around + before) / (len(asked) + len(space)))
    x = np.empty((most, len(around)), dtype=np.float32)
    for start in range(0, most, CHUNK):
        part = near[start : start + CHUNK]
        x[start : start + CHUNK] = space.values(part) * (unit * np.sqrt(weight[part, None] / labels)).astype(np.float32)
    forward, shares = _pick(state, x, min(FORWARD * n, most))
    kept = _take_back(state, x[forward], n)
    blind = np.flatnonzero(~usable)[: n - len(kept)]
    chosen = np.concatenate([near[forward[kept]], blind])
    rows = candidate_probs(pool, chosen)
    reasons = [_reason(pool, row) for row in rows[: len(kept)]]
    reasons += [NO_EMBEDDING if np.isfinite(row[0]) else NO_PREDICTION for row in rows[len(kept) :]]
    return Picks(pool.candidates[chosen], np.append(shares[kept], np.full(len(blind), np.nan)), reasons)


@dataclass
class _State:
    """inv(M), inv(M) F inv(M), both (d, d), and what is ``left``, the trace of inv(M) F, as picks come and go."""

    inverse: NDArray[np.float64]
    through: NDArray[np.float64]
    left: float

    @classmethod
    def of(cls, m: NDArray[np.float64], fisher: NDArray[np.float64]) -> _State:
        inverse = np.asarray(np.linalg.inv(m), dtype=np.float64)
        through = inverse @ fisher
        return cls(inverse, through @ inverse, float(np.trace(through)))

    def measure(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """xᵀ inv(M) x and xᵀ inv(M) F inv(M) x of the rows of ``x`` (m, d), (m,) each."""
        own, gain = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK].astype(np.float64)
            own[start : start + CHUNK] = np.einsum("md,md->m", part @ self.inverse, part)
            gain[start : start + CHUNK] = np.einsum("md,md->m", part @ self.through, part)
        return own, gain

    def change(
        self, x: NDArray[np.float32], row: int, sign: int, own: NDArray[np.float64], gain: NDArray[np.float64]
    ) -> None:
        """Add (+1) or take back (-1) one ``row`` of ``x`` (m, d), and bring what :meth:`measure` told up to date."""
        step = x[row].astype(np.float64)
        u, v = self.inverse @ step, self.through @ step
        through = float(step @ v)
        c = sign / (1 + sign * float(step @ u))
        self.left -= c * through
        both = np.outer(u, c * v - c * c * through / 2 * u)
        self.through -= both
        self.through -= both.T
        self.inverse -= np.outer(c * u, u)
        along, across = (x @ u.astype(np.float32)).astype(np.float64), x @ v.astype(np.float32)
        own -= c * along**2
        gain -= c * along * (2 * across - c * through * along)


def _pick(state: _State, x: NDArray[np.float32], n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """``n`` rows of ``x`` (m, d), one after another, and the share (n,) of what was left that each takes away."""
    own, gain = state.measure(x)
    free = np.ones(len(x), dtype=bool)
    picked, shares = np.empty(n, dtype=np.int64), np.empty(n)
    for i in range(n):
        row, taken = _most(state, x, np.where(free, _taken(own, gain), -1.0))
        picked[i], shares[i] = row, taken / max(state.left, np.finfo(float).tiny)
        free[row] = False
        state.change(x, row, 1, own, gain)
    return picked, shares


def _most(state: _State, x: NDArray[np.float32], rough: NDArray[np.float64]) -> tuple[int, float]:
    """The row of ``x`` (m, d) that takes the most, and how much; ``rough`` (m,) is that to within ``DRIFT``."""
    near = np.flatnonzero(rough >= rough.max() * (1 - DRIFT))
    if len(near) > CONTENDERS:
        near = np.sort(near[best(rough[near], CONTENDERS)])
    exact = _taken(*state.measure(x[near]))
    place = int((exact >= exact.max() * (1 - ROUNDING)).argmax())
    return int(near[place]), float(exact[place])


def _taken(own: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """What rows take from the trace, by what :meth:`_State.measure` tells of them."""
    return np.asarray(np.maximum(gain, 0) / (1 + own))


def _take_back(state: _State, x: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """Rows of the picks ``x`` (m, d) of which ``n`` stay when those missed the least have gone, in their order."""
    own, gain = state.measure(x)
    here = np.ones(len(x), dtype=bool)
    for _ in range(len(x) - n):
        loss = np.where(here, gain / (1 - own), np.inf)
        row = int(np.flatnonzero(loss <= loss.min() + ROUNDING * abs(loss.min()))[-1])
        here[row] = False
        state.change(x, row, -1, own, gain)
    return np.flatnonzero(here)


def _doubt(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """p (1 - p) of the first guess of each row of ``probs`` (m, k), (m,); NaN stays NaN."""
    first = probs.max(axis=1)
    return np.asarray(first * (1 - first))


def _unit(*spaces: Space) -> float:
    """What brings the mean squared length of the embeddings to 1."""
    scale = np.concatenate([space.scale[space.usable] for space in spaces]).astype(np.float64)
    square = np.divide(1, scale**2, out=np.zeros_like(scale), where=scale > 0)
    return float(1 / np.sqrt(square.mean())) if square.any() else 1.0


def _information(space: Space, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum (d, d) of the points' outer products with themselves, each times its weight; NaN counts 0."""
    total = np.zeros((space.embeddings.shape[1],) * 2)
    single = np.nan_to_num(weight).astype(np.float32)
    for part, values in space.chunks():
        total += (values * single[part, None]).T @ values
    return total


def _reason(pool: Pool, row: NDArray[np.float64]) -> str:
    return f"would teach the model most about the rest; {opinion(pool, row)}"
