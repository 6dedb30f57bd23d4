"""Embeddings by the maximum mean discrepancy (Gretton et al. 2012), at a cost linear in the samples.

The kernel is a Gaussian with the median distance of the reference as its width, by random Fourier features (Rahimi and
Recht 2007). The features' means are all that two periods need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.reference import Observations

#: Pairs of waves. Their number bounds the cost: (n + m) * 2 FREQUENCIES * d multiplications.
FREQUENCIES = 128
#: Samples of the reference whose distances give the width.
FOR_WIDTH = 500


def detect(reference: Observations) -> Test | None:
    """A test of the embeddings' distribution; ``None`` where there are none or none varies."""
    values = np.asarray(reference.embeddings, dtype=np.float64)
    if not values.shape[1] or not np.ptp(values, axis=0).any():
        return None
    middle = values.mean(axis=0)
    width = _median_distance(values - middle)
    rng = np.random.default_rng(0)
    frequencies = rng.standard_normal((values.shape[1], FREQUENCIES)) / width

    def features(seen: Observations) -> NDArray[np.float64]:
        angle = (np.asarray(seen.embeddings, dtype=np.float64) - middle) @ frequencies
        waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(waves / np.sqrt(FREQUENCIES), dtype=np.float64)

    fitted = mean_shift.fit(features(reference), learned=False)

    def words(window: Observations) -> tuple[str, ...]:
        made = features(window)
        statistic, _ = fitted.test(made.mean(axis=0), len(made))
        return (f"squared MMD {statistic:.2f} times what chance makes of it",)

    return MeanTest(features=features, fitted=fitted, words=words)


def _median_distance(values: NDArray[np.float64]) -> float:
    some = values[:: max(1, len(values) // FOR_WIDTH)][:FOR_WIDTH]
    square = (some**2).sum(axis=1)
    between = square[:, None] + square[None, :] - 2 * some @ some.T
    found = np.sqrt(np.maximum(between[np.triu_indices(len(some), 1)], 0))
    return float(np.median(found)) or float(found.mean()) or 1.0
