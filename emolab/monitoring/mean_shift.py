"""Whether the mean of a window differs from that of a reference, in any direction: a quadratic form and its p-value.

1. Samples become features (n, d). The difference ``d`` of the two means is squared in a metric ``W``: ``d' W d``.
   With the metric 1 that is the squared MMD of the features' kernel (Gretton et al. 2012, JMLR 13); with an inverse of
   the covariance it is Hotelling's T2, which is how far Fisher's linear discriminant can part the two.
2. Its mean, variance and skewness without a change are known exactly from the moments of the reference, whatever the
   distribution. A gamma distribution with these gives the p-value. So it costs no permutation, is linear in the samples
   and reaches the small levels of a year of looks.
3. Where the metric is learned, one half of the reference gives the metric and the other half the moments: a metric fits
   the samples that it was learned from too well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from emolab.monitoring.reference import Floats

#: Share of the mean variance that is added to each direction of a learned metric.
RIDGE = 0.05
#: Samples whose pairs are looked at for the skewness.
PAIRED = 400


@dataclass(frozen=True, kw_only=True)
class MeanShift:
    """A reference of ``n`` samples, in coordinates in which the metric is 1.

    ``change`` (d, r) brings features there, ``middle`` (r,) is the mean. ``total``, ``squares`` and ``cubes`` are the
    traces of the first three powers of the covariance; ``spread`` and ``skew`` the second and third central moments of
    the squared length of one sample, ``pairs`` what two samples together add to the third cumulant; the moments are
    those of ``known`` samples.
    """

    n: int
    change: NDArray[np.float64]
    middle: NDArray[np.float64]
    total: float
    squares: float
    cubes: float
    spread: float
    skew: float
    pairs: float
    known: int

    def test(self, mean_of: NDArray[np.float64], m: int) -> tuple[float, float]:
        """How far the mean (d,) of the features of ``m`` samples is away, as a multiple of what chance makes of it,
        and the p-value. Without samples that is nothing at all: 0 and 1.
        """
        if m == 0 or self.total <= 0:
            return 0.0, 1.0
        shift = mean_of @ self.change - self.middle
        found = float(shift @ shift)
        mean = self.total * (1 / m + 1 / self.n)
        unsure = self.spread / self.known * (1 / m + 1 / self.n) ** 2  # the mean itself is an estimate
        variance = self._variance(m) + self._variance(self.n) + 4 * self.squares / (m * self.n) + unsure
        between = 8 * self.cubes * ((1 / m + 1 / self.n) ** 3 - m**-3.0 - self.n**-3.0)
        third = self._third(m) + self._third(self.n) + between
        skewness = max(third / variance**1.5, 2 * variance**0.5 / mean)
        shape = 4 / skewness**2
        point = shape + (found - mean) / variance**0.5 * shape**0.5
        return found / mean, float(gammaincc(shape, max(point, 0.0)))

    def _third(self, m: int) -> float:
        """Third cumulant of the squared length of the mean of ``m`` samples."""
        pairs = m * (m - 1)
        return (m * self.skew + pairs * self.pairs + 8 * pairs * (m - 2) * self.cubes) / m**6

    def _variance(self, m: int) -> float:
        """Variance of the squared length of the mean of ``m`` samples."""
        return self.spread / m**3 + 2 * (m - 1) * self.squares / m**3


def fit(features: Floats, *, learned: bool) -> MeanShift:
    """What to compare windows with, from a reference (n, d); ``learned``: with the metric of its own covariance."""
    values = np.asarray(features, dtype=np.float64)
    if not learned:
        return _moments(values, values, np.eye(values.shape[1]))
    metric, moments = values[0::2], values[1::2]
    covariance = np.atleast_2d(np.cov(metric, rowvar=False))
    size, axes = np.linalg.eigh(covariance)
    mean = max(float(size.mean()), 0.0)
    held = size > 1e-9 * max(float(size[-1]), 1e-300)  # directions in which nothing varies say nothing
    ridge = (RIDGE + values.shape[1] / len(metric)) * mean
    return _moments(values, moments, axes[:, held] / np.sqrt(size[held] + ridge))


def _moments(values: NDArray[np.float64], moments: NDArray[np.float64], change: NDArray[np.float64]) -> MeanShift:
    middle = values.mean(axis=0) @ change
    placed = moments @ change
    placed -= placed.mean(axis=0)
    covariance = placed.T @ placed / (len(placed) - 1)
    lengths = (placed**2).sum(axis=1)
    away = lengths - lengths.mean()
    second = covariance @ covariance
    some = placed[:: max(1, len(placed) // PAIRED)]
    gram = some @ some.T
    np.fill_diagonal(gram, 0)
    thirds = float((gram**3).sum()) / (len(some) * (len(some) - 1))
    leaning = float(((away[:, None] * placed).mean(axis=0) ** 2).sum())
    longer = float((away * ((placed @ covariance) * placed).sum(axis=1)).mean())
    return MeanShift(
        n=len(values),
        change=change,
        middle=middle,
        total=float(np.trace(covariance)),
        squares=float(np.trace(second)),
        cubes=float((second * covariance).sum()),
        spread=float((away**2).mean()),
        skew=max(0.0, float((away**3).mean())),
        pairs=max(0.0, 6 * leaning + 12 * longer + 4 * thirds),
        known=len(placed),
    )
