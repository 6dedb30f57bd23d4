"""What can move, one file each.

A detector is a function ``(reference) -> test``, and the test a function ``(window) -> Finding``, or ``None`` where the
reference lacks its columns. Without a change its p-values are below any level ``a`` with a chance of at most about
``a``. The contract test runs over whatever is registered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring.mean_shift import MeanShift
from emolab.monitoring.reference import Observations

#: Samples from which windows are tested: of fewer the far tails of the statistics are not known well enough.
FEWEST_SEEN = 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a detector says about a window: ``statistic`` is 1 on average where nothing has changed, ``p`` the p-value,
    ``moved`` says in words what moved most, the largest first.
    """

    statistic: float
    p: float
    moved: tuple[str, ...] = ()


#: Looks at a window of the model's own observations.
Test = Callable[[Observations], Finding]


@dataclass(frozen=True, kw_only=True)
class MeanTest:
    """A test of the means of features: ``features`` makes them (m, d) of a window, ``fitted`` knows the reference's,
    ``words`` says what moved.

    A look at many windows together needs no more than the mean of each (:class:`emolab.monitoring.drift_look.Watch`).
    """

    features: Callable[[Observations], NDArray[np.floating[Any]]]
    fitted: MeanShift
    words: Callable[[Observations], tuple[str, ...]]

    def __call__(self, window: Observations) -> Finding:
        """What is to be said about ``window``."""
        rows, mean = self.mean(window)
        statistic, p = self.fitted.test(mean, rows)
        return Finding(statistic=statistic, p=p, moved=self.words(window) if rows else ())

    def mean(self, window: Observations) -> tuple[int, NDArray[np.float64]]:
        """How many rows the features have, and their mean (d,)."""
        rows = self.features(window)
        return len(rows), rows.mean(axis=0, dtype=np.float64) if len(rows) else np.zeros(rows.shape[1])
