"""The best of many scores, with ties decided by position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best(scores: NDArray[np.floating[Any]], n: int) -> NDArray[np.int64]:
    """Positions of the ``n`` highest ``scores`` (m,), highest first; equal scores in order of position, NaN last.

    One pass over the scores and a sort of the winners, so that picking 1,000 of a million takes milliseconds.
    """
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    if n < len(ranked):
        threshold = np.partition(ranked, len(ranked) - n)[len(ranked) - n]
        above = np.flatnonzero(ranked > threshold)
        level = np.flatnonzero(ranked == threshold)[: n - len(above)]
        chosen = np.sort(np.concatenate([above, level]))
    else:
        chosen = np.arange(len(ranked))
    return chosen[np.argsort(-ranked[chosen], kind="stable")]
