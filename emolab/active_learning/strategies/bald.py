"""Samples on which random versions of the model contradict one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.strategies import NO_PREDICTION, needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Numbers read at a time, all draws together (32 MB as float64).
CHUNK = 1 << 22


@needs("draws")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates on which the draws disagree most; the score is their mutual information as a share of 1.

    Bayesian active learning by disagreement (Houlsby et al. 2011): the entropy of the mean distribution less the mean
    entropy of the draws, divided by its maximum, the logarithm of the number of classes. What every draw finds
    ambiguous scores nothing: people would not agree on it either. Any source of ``pool.draws`` (t, n, k) will do,
    for instance :func:`emolab.active_learning.selection.draws.bootstrap_draws`. A candidate that one draw has no answer
    for comes last.
    """
    assert pool.draws is not None  # noqa: S101  the caller provides what needs() names
    t, _, k = pool.draws.shape
    scores = np.empty(len(pool.candidates))
    step = max(1, CHUNK // (t * k))
    for start in range(0, len(scores), step):
        part = slice(start, start + step)
        scores[part] = mutual_information(pool.draws[:, pool.candidates[part]])
    chosen = best(scores, n)
    opinions = np.asarray(pool.draws[:, pool.candidates[chosen]], dtype=np.float64)
    reasons = [_reason(pool, opinions[:, i]) for i in range(n)]
    return Picks(pool.candidates[chosen], scores[chosen], reasons)


def mutual_information(draws: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the draws (t, n, k) would tell about the class, (n,), as a share of log k; NaN where one has no answer.

    >>> mutual_information(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])).tolist()
    [1.0]
    >>> mutual_information(np.array([[[0.5, 0.5]], [[0.5, 0.5]]])).tolist()
    [0.0]
    """
    probs: NDArray[np.float64] = np.asarray(draws, dtype=np.float64)
    gained = _entropy(probs.mean(axis=0)) - _entropy(probs).mean(axis=0)
    found: NDArray[np.float64] = np.maximum(gained, 0.0) / max(np.log(probs.shape[-1]), 1e-12)
    return found


def _entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nats, over the last axis."""
    logs = np.log(probs, out=np.zeros_like(probs), where=~(probs <= 0))
    return np.asarray(-(probs * logs).sum(axis=-1))


def _reason(pool: Pool, draws: NDArray[np.float64]) -> str:
    """What ``draws`` (t, k) of one sample say."""
    if not np.isfinite(draws).all():
        return NO_PREDICTION
    votes = np.bincount(draws.argmax(axis=1), minlength=draws.shape[1])
    names = pool.classes or tuple(f"class {c}" for c in range(len(votes)))
    top = [c for c in (-votes).argsort(kind="stable")[:3] if votes[c]]
    if len(top) == 1:
        return f"retrained models all say {names[top[0]]}, but are not equally sure"
    said = ", ".join(f"{votes[c]} of {len(draws)} say {names[c]}" for c in top)
    return f"retrained models disagree: {said}"
