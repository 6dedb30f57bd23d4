"""New samples and second opinions on one scale: which votes of a round go to samples that have some already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.selection import revote
from emolab.active_learning.selection.ranking import best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable

    Floats = NDArray[np.floating[Any]]


def second_opinions(
    votes: VoteTable, probs: Floats | None, new: Floats, n: int, *, askable: NDArray[np.bool_], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of ``votes.samples`` that one more person should see, most useful first, and their scores in 0..1.

    1. One more vote on each of the labelled samples, and a first one on each of the m ``new`` ones, is worth a score
       (:mod:`emolab.active_learning.selection.revote`); ``probs`` (n, k) and ``new`` (m, k) are what a model says that
       has not learned from the sample, NaN where it says nothing.
    2. Of the ``n`` best of all, the labelled ones among ``askable`` are the answer, at most ``most`` of them: their
       place in a round of ``n`` is earned against new samples.

    Ties go to new samples, and among labelled ones to the smaller id, so the order of rows does not matter.
    """
    if not most or not askable.any():
        return np.empty(0, dtype=np.int64), np.empty(0)
    own, others = revote.scores(votes, probs, new)
    order = np.array(sorted(np.flatnonzero(askable).tolist(), key=votes.samples.__getitem__), dtype=np.int64)
    order = order[np.isfinite(own[order])]
    others = others[np.isfinite(others)]
    chosen = best(np.concatenate([others, own[order]]), n)
    rows = order[chosen[chosen >= len(others)] - len(others)][:most]
    return rows, own[rows]
