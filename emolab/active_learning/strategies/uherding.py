"""Samples that much of what the model doubts resembles, and nothing asked before does."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.herding import herd
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.space import NO_EMBEDDING, Space
from emolab.active_learning.selection.thinning import by_checksum
from emolab.active_learning.strategies import (
    NO_PREDICTION,
    candidate_probs,
    candidate_scores,
    closeness,
    needs,
    opinion,
)


@needs("probs", "embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """``n`` candidates that bring the model's doubt nearest to what was asked; the score is the share each adds, 0..1.

    UHerding (Bae et al. 2025, "Uncertainty herding"): :func:`~emolab.active_learning.selection.herding.herd` with every
    sample weighted by the model's doubt, 1 - the gap between its two best classes. While little is labelled everything
    is in doubt and far away, and it spreads like ``maxherding``; later it turns to where the model is unsure.
    Candidates without a usable prediction or embedding come last.
    """
    assert pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    doubt = candidate_scores(pool, closeness)
    space = Space.over(pool.embeddings, pool.candidates)
    usable = space.usable & ~np.isnan(doubt)
    order = by_checksum(pool.samples, pool.candidates)
    order = order[usable[order]]
    known = Space.over(pool.embeddings, pool.known)
    picked, gains = herd(space, known, np.where(usable, doubt.clip(0, 1), 0), order, min(n, len(order)))
    blind = np.flatnonzero(~usable)[: n - len(picked)]
    reasons = [
        f"{opinion(pool, row)}, as on others like it that nobody was asked about"
        for row in candidate_probs(pool, picked)
    ]
    return Picks(
        pool.candidates[np.concatenate([picked, blind])],
        np.concatenate([gains, np.full(len(blind), np.nan)]),
        reasons + [NO_PREDICTION if np.isnan(doubt[row]) else NO_EMBEDDING for row in blind],
    )
