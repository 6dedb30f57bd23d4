"""Samples whose most probable class the model believes least."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.strategies import NO_PREDICTION, candidate_probs, candidate_scores, named, needs


@needs("probs")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """The ``n`` candidates with the lowest top probability; the score is 1 minus it.

    Lewis & Gale 1994, "A sequential algorithm for training text classifiers".
    """
    scores = candidate_scores(pool, lambda probs: 1 - probs.max(axis=1))
    chosen = best(scores, n)
    return Picks(pool.candidates[chosen], scores[chosen], [_reason(pool, row) for row in candidate_probs(pool, chosen)])


def _reason(pool: Pool, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return NO_PREDICTION if np.isnan(row[0]) else f"the model is unsure: its best guess is {named(pool, row, 1)[0]}"
