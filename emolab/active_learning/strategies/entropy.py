"""Samples whose predicted distribution is the most spread out."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.strategies import NO_PREDICTION, candidate_probs, candidate_scores, named, needs


@needs("probs")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates with the highest entropy; the score is the entropy as a share of its maximum, 0..1.

    Shannon 1948. It likes what is ambiguous to people too, and often loses to random on expressions: prefer ``margin``.
    """
    scores = candidate_scores(pool, _spread)
    chosen = best(scores, n)
    return Picks(pool.candidates[chosen], scores[chosen], [_reason(pool, row) for row in candidate_probs(pool, chosen)])


def _spread(probs: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The entropy of each row as a share of its maximum."""
    logs = np.log(probs, out=np.zeros_like(probs), where=~(probs <= 0))
    return np.asarray(-(probs * logs).sum(axis=1) / max(np.log(probs.shape[1]), 1e-12))


def _reason(pool: Pool, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    if np.isnan(row[0]):
        return NO_PREDICTION
    positive = row[row > 0]
    spread = round(float(np.exp(-(positive * np.log(positive)).sum())))
    likely = named(pool, row, max(2, min(spread, 3)))
    return f"the model is undecided among about {max(spread, 1)} classes: {', '.join(likely)}"
