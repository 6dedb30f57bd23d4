"""The control: every candidate is equally likely."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.strategies import needs


@needs()
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    """``n`` candidates drawn without replacement; the score is the draw.

    Every gain of another strategy is a gain over this one, which also is the only one whose labels are an unbiased
    sample of the pool.
    """
    draws = rng.random(len(pool.candidates))
    chosen = best(draws, n)
    return Picks(pool.candidates[chosen], draws[chosen], ["drawn at random"] * n)
