"""Temperature scaling: one number that makes confidence mean accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 0.05, 20.0
#: Below this many samples the estimate would be noise; the temperature stays 1.
FEWEST = 10


def fit_temperature(logits: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]]) -> float:
    """The temperature T > 0 that minimises the NLL of ``softmax(logits / T)`` against ``truth`` (n,).

    The NLL is convex in 1/T (Guo et al. 2017, "On calibration of modern neural networks"): a golden-section search
    over log T finds the minimum. 1.0 with fewer than ten samples, or when all or none are classified correctly and
    the best T would run off to a bound.
    """
    if len(truth) < FEWEST:
        return 1.0
    scores = logits.astype(np.float64)
    rows = np.arange(len(truth))

    def loss(log_t: float) -> float:
        scaled = scores / np.exp(log_t)
        top = scaled.max(axis=1)
        return float((top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - scaled[rows, truth]).mean())

    low, high = float(np.log(LOWEST)), float(np.log(HIGHEST))
    ratio = (5**0.5 - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    loss_a, loss_b = loss(a), loss(b)
    while high - low > 1e-5:
        if loss_a <= loss_b:
            high, b, loss_b = b, a, loss_a
            a = high - ratio * (high - low)
            loss_a = loss(a)
        else:
            low, a, loss_a = a, b, loss_b
            b = low + ratio * (high - low)
            loss_b = loss(b)
    temperature = float(np.exp((low + high) / 2))
    return temperature if LOWEST * 1.01 < temperature < HIGHEST / 1.01 else 1.0
