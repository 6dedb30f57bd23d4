"""Accuracy as a power law of the number of labels, a - b n^-c, and what further labels would buy.

Learning curves of classifiers follow inverse power laws (Mukherjee et al. 2003; Figueroa et al. 2012, "Predicting
sample size required for classification performance"; Hestness et al. 2017). From few judges the exponent cannot be
told, so it is drawn again for every resampling of judges and orders, by how well it fits and how common it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.active_learning.advice.learning_curve import Measured

#: Exponents considered, and how common they are: log-normal around the median with this spread.
EXPONENTS = np.geomspace(0.1, 2.0, 31)
MEDIAN, SPREAD = 0.5, 0.5
#: Accuracy may leave the law by this much at any size.
MISFIT = 0.005
DRAWS = 400
#: How many standard deviations an interval reaches to either side to hold nine of ten outcomes: calibrated on simulated
#: campaigns (``python -m benchmarks.advice``), not derived.
WIDTH = 1.7


@dataclass(frozen=True)
class Interval:
    """A figure and the interval that holds it in nine of ten cases, as shares of 1."""

    value: float
    low: float
    high: float

    @classmethod
    def around(cls, value: float, half: float) -> Interval:
        """``value`` and ``half`` to either side."""
        return cls(value, value - half, value + half)


@dataclass(frozen=True)
class Law:
    """Draws (b,) of the law's parameters that fit what ``judges`` samples measured: accuracy is ``a - b n^-c``."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    c: NDArray[np.float64]
    judges: int

    def at(self, n: float) -> NDArray[np.float64]:
        """Accuracy after ``n`` labels, one per draw."""
        found: NDArray[np.float64] = self.a - self.b * n**-self.c
        return found

    def accuracy(self, n: float) -> Interval:
        """Accuracy after ``n`` labels, within 0..1; few judges who agree are no proof of a perfect model."""
        drawn = self.at(n)
        value, chance = float(drawn.mean()), self._chance(n) / self.judges
        half = WIDTH * float(np.sqrt(max(drawn.var(), chance)))
        return Interval(value, max(0.0, value - half), min(1.0, value + half))

    def gain(self, n: float, more: float) -> Interval:
        """What ``more`` labels after the first ``n`` add to the accuracy.

        Two things are uncertain: the law, as its draws differ, and which samples will come; the latter like the
        accuracy of a model of n labels, whose variance is about a (1 - a) / n, as far as the further labels count.
        """
        gains = self.at(n + more) - self.at(n)
        luck = self._chance(n) / n * more / (n + more)
        return Interval.around(float(gains.mean()), WIDTH * float(np.sqrt(gains.var() + luck)))

    def _chance(self, n: float) -> float:
        """The variance of one answer of a model of ``n`` labels, with one right and one wrong one added."""
        right = (float(np.clip(self.at(n).mean(), 0.0, 1.0)) * self.judges + 1) / (self.judges + 2)
        return right * (1 - right)


def fit(measured: Measured, rng: np.random.Generator, *, draws: int = DRAWS) -> Law:
    """The power laws that fit resamplings of the judges and of the orders in which labels were taken.

    Least squares with b >= 0 and a <= 1; later sizes weigh more, by their logarithmic share of labels.
    """
    sizes = measured.sizes.mean(axis=0)
    weight = np.sqrt(sizes / sizes.sum())
    weight /= weight.sum()
    curves = _resampled(measured, rng, draws)
    x = sizes[None, :] ** -EXPONENTS[:, None]
    a, b, sse = _lines(x, curves, weight)
    likely = -0.5 * len(sizes) * sse / MISFIT**2 - 0.5 * (np.log(EXPONENTS / MEDIAN) / SPREAD) ** 2
    chosen = (likely + rng.gumbel(size=likely.shape)).argmax(axis=1)
    row = np.arange(draws)
    return Law(a[row, chosen], b[row, chosen], EXPONENTS[chosen], measured.hits.shape[2])


def _resampled(measured: Measured, rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """Mean accuracy by size (draws, m) under random weights of judges and orders (Rubin 1981, Bayesian bootstrap)."""
    orders, _, judges = measured.hits.shape
    judge = rng.exponential(size=(judges, draws))
    order = rng.exponential(size=(orders, draws))
    asked = np.isfinite(measured.hits[:, 0]).astype(np.float64)
    right = np.nan_to_num(measured.hits).astype(np.float64) @ judge
    total = np.einsum("rb,rb->b", asked @ judge, order)
    found: NDArray[np.float64] = (np.einsum("rmb,rb->bm", right, order) / total[:, None]).astype(np.float64)
    return found


def _lines(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The a <= 1, b >= 0 and weighted mean squared error, (draws, e) each, of y (draws, m) = a - b x (e, m)."""
    mx, my = x @ weight, y @ weight
    dx = x - mx[:, None]
    slope = (y * weight) @ dx.T / (dx**2 @ weight)
    b = np.maximum(-slope, 0.0)
    a = my[:, None] + b * mx
    steep = a > 1
    through_one = ((1 - y) * weight) @ x.T / (x**2 @ weight)
    a, b = np.where(steep, 1.0, a), np.where(steep, np.maximum(through_one, 0.0), b)
    error = y[:, None, :] - a[:, :, None] + b[:, :, None] * x
    return a, b, (error**2) @ weight
