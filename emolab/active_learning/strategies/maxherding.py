"""Samples that much of the pool resembles and nothing asked before does: kernel herding."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.herding import herd
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.space import NO_EMBEDDING, Space
from emolab.active_learning.selection.thinning import by_checksum
from emolab.active_learning.strategies import needs


@needs("embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """``n`` candidates that bring the pool nearest to what was asked; the score is the share each adds, 0..1.

    MaxHerding (Bae et al. 2024): see :func:`~emolab.active_learning.selection.herding.herd`. It is ``uherding`` for a
    model that is in doubt everywhere alike, and needs no labels. Candidates with NaN in their embedding come last.
    """
    assert pool.embeddings is not None  # noqa: S101  the caller provides what needs() names
    space = Space.over(pool.embeddings, pool.candidates)
    order = by_checksum(pool.samples, pool.candidates)
    order = order[space.usable[order]]
    known = Space.over(pool.embeddings, pool.known)
    picked, gains = herd(space, known, np.ones(len(space)), order, min(n, len(order)))
    blind = np.flatnonzero(~space.usable)[: n - len(picked)]
    reasons = ["many samples that nobody was asked about are like it"] * len(gains)
    return Picks(
        pool.candidates[np.concatenate([picked, blind])],
        np.concatenate([gains, np.full(len(blind), np.nan)]),
        reasons + [NO_EMBEDDING] * len(blind),
    )
