"""One temperature for models that say of each class by itself how likely it is.

For one distribution a temperature draws the classes towards each other (Guo et al. 2017). Classes by themselves have no
such middle: log-odds divided by a number move to even odds, which rare classes never have. So here each class is drawn
towards, or pushed away from, what is known without a look at the sample: the log-odds of its own share. One number
does what a slope and a shift for each class would do (Platt 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.stats.multilabel import log_odds
from emolab.stats.sparse_logistic import sigmoid

Floats = NDArray[np.floating[Any]]

LOWEST, HIGHEST = 0.2, 10.0
#: Below this many samples what was held out says too little of the model that learns from all: the temperature stays 1.
#: With 200 the log loss on dev sentences of GoEmotions rose in half of all draws: benchmarks.text_calibration.
FEWEST = 300


@dataclass(frozen=True, eq=False)
class ClassTemperature:
    """``value`` > 0, and ``rest`` (k,), the log-odds of the share of each class, towards which above 1 it draws.

    ``n`` samples fitted it.
    """

    value: float
    rest: NDArray[np.float64]
    n: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share (k,) of the samples to which each class applies, 0..1."""
        return _expit(self.rest)

    def applied(self, logits: Floats) -> NDArray[np.float32]:
        """Calibrated log-odds (n, k) of ``logits`` (n, k)."""
        found: NDArray[np.float32] = self._scaled(logits.astype(np.float64), 1 / self.value).astype(np.float32)
        return found

    def probabilities(self, logits: Floats) -> NDArray[np.float32]:
        """Calibrated probabilities (n, k) of ``logits`` (n, k)."""
        return sigmoid(self.applied(logits))

    def thresholds(self, found: Floats) -> NDArray[np.float64]:
        """The thresholds (k,) on calibrated probabilities that mean what those ``found`` (k,) on others mean.

        So a class is said of the same samples. One of 1 is never said, and stays 1.
        """
        moved = _expit(self._scaled(log_odds(found), 1 / self.value))
        made: NDArray[np.float64] = np.where((found > 0) & (found < 1), moved, found)
        return made

    def undone(self, probs: Floats) -> NDArray[np.float32]:
        """The probabilities (n, k) that were there before, from calibrated ``probs`` (n, k).

        Single precision tells those near 1 apart no more, so this may be wrong by some thousandths there.
        """
        found: NDArray[np.float32] = _expit(self._scaled(log_odds(probs), self.value)).astype(np.float32)
        return found

    def _scaled(self, logits: NDArray[np.float64], by: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.rest + (logits - self.rest) * by
        return found


def fit(
    logits: Floats, truth: NDArray[np.bool_], known: NDArray[np.bool_] | None = None, *, fewest: int = FEWEST
) -> ClassTemperature:
    """The temperature under which ``logits`` (n, k) have the least log loss against ``truth`` (n, k).

    The loss is convex in 1/T, so it has one minimum. Where ``known`` (n, k) is false, nothing is known of a class. The
    temperature is 1 with less than the ``fewest`` samples, and where it would run off to a bound, as when everything is
    right.
    """
    from scipy.optimize import minimize_scalar

    n = len(truth)
    there = np.ones(truth.shape, bool) if known is None else known
    share = ((truth & there).sum(axis=0) + 0.5) / (there.sum(axis=0) + 1)
    rest: NDArray[np.float64] = np.log(share / (1 - share))
    if n < fewest:
        return ClassTemperature(1.0, rest, n)
    away, wanted = logits.astype(np.float64) - rest, truth.astype(np.float64)

    def loss(log_t: float) -> float:
        moved = rest + away / np.exp(log_t)
        return float(((np.logaddexp(0, moved) - wanted * moved) * there).sum())

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x))
    inside = LOWEST * 1.01 < found < HIGHEST / 1.01
    return ClassTemperature(found if inside else 1.0, rest, n)


def _expit(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-logits))`` in double precision, in which thresholds are kept."""
    from scipy.special import expit

    found: NDArray[np.float64] = expit(logits)
    return found
