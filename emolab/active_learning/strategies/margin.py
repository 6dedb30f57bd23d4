"""Samples between two classes: the model's first and second guess are close."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.strategies import (
    NO_PREDICTION,
    candidate_probs,
    candidate_scores,
    closeness,
    needs,
    opinion,
)


@needs("probs")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates with the smallest gap between the two best classes; the score is 1 minus the gap.

    Scheffer et al. 2001, "Active hidden Markov models for information extraction". The most dependable of the plain
    uncertainty measures for expressions, and the default.
    """
    scores = candidate_scores(pool, closeness)
    chosen = best(scores, n)
    return Picks(pool.candidates[chosen], scores[chosen], [_reason(pool, row) for row in candidate_probs(pool, chosen)])


def _reason(pool: Pool, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return NO_PREDICTION if np.isnan(row[0]) else opinion(pool, row)
