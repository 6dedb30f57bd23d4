"""The open tasks of a round in a new order, by a head that has learned from the answers so far.

1. The model's own opinion is where the head starts (its logits are the prior), so a few answers change little of it.
2. The head is solved on the answers that the model has not learned from: :mod:`emolab.stats.logistic`.
3. Tasks between two classes come first, as with ``margin``. Those that have to keep their places keep them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.strategies import closeness
from emolab.errors import DataError
from emolab.stats import logistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

#: Probabilities below this are taken for it, so that their logarithm is a number.
LEAST = 1e-6


@dataclass(frozen=True)
class Relearned:
    """What the new head says of the open tasks: ``probs`` (m, k), ``scores`` (m,), higher is more useful.

    Both are NaN where the model gave nothing. ``penalty`` is how strongly the head was held to the model's opinion.
    """

    probs: NDArray[np.float64]
    scores: NDArray[np.float64]
    penalty: float


def relearn(
    features: Floats, probs: Floats, targets: Floats, open_features: Floats, open_probs: Floats, *, seed: int = 0
) -> Relearned:
    """Solve the head again on n answered samples and score m open ones.

    ``features`` (n, d), ``probs`` (n, k) of the model and what people said, ``targets`` (n, k), rows sum to 1; of the
    open ones ``open_features`` (m, d) and ``open_probs`` (m, k). Answered samples of which the model gave nothing (NaN)
    do not count. Deterministic. Raises :class:`DataError` where no answered sample is left.
    """
    usable = _known(features, probs)
    if not usable.any():
        raise DataError("The model has no prediction for any of the answered samples, so nothing can be learned.")
    problem = logistic.LogisticProblem(
        np.asarray(features[usable]), np.asarray(targets[usable], dtype=np.float64), prior=_logits(probs[usable])
    )
    penalty, near = logistic.LARGEST, problem.start()
    if usable.sum() > 1:  # of one answer nothing can be held back to choose by
        best, _, near = logistic.choose(problem, seed=seed)
        penalty = best.penalty
    head = problem.fold_back(problem.solve(penalty, start=near), penalty)
    known = _known(open_features, open_probs)
    found = np.full(open_probs.shape, np.nan)
    logits = head.logits(np.asarray(open_features[known])) + _logits(open_probs[known])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    found[known] = odds / odds.sum(axis=1, keepdims=True)
    return Relearned(found, closeness(found), penalty)


def rearranged(scores: NDArray[np.float64], fixed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The tasks (m,) in their new order: the ``fixed`` ones where they are, the others by their scores, highest first.

    Equal scores keep their order; tasks without a score (NaN) come after those that have one.

    >>> rearranged(np.array([0.1, 0.2, 0.9, 0.5]), np.array([False, True, False, False])).tolist()
    [2, 1, 3, 0]
    """
    order = np.arange(len(scores))
    free = np.flatnonzero(~fixed)
    ranked = np.where(np.isnan(scores[free]), -np.inf, scores[free])
    order[free] = free[np.argsort(-ranked, kind="stable")]
    return order


def _known(features: Floats, probs: Floats) -> NDArray[np.bool_]:
    """(n,) where the model gave features and probabilities."""
    return np.asarray(np.isfinite(features).all(axis=1) & np.isfinite(probs).all(axis=1))


def _logits(probs: Floats) -> NDArray[np.float64]:
    """(n, k) logarithms of the model's probabilities, which are logits."""
    logits: NDArray[np.float64] = np.log(np.maximum(np.asarray(probs, dtype=np.float64), LEAST))
    return logits
