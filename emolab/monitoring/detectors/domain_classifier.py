"""Whether a classifier can tell the window from the reference by embeddings and probabilities.

The classifier is Fisher's linear discriminant with a ridge, which is solved and not trained; its separation is
Hotelling's T2, whose p-value needs no held-out half. How well it parts the two is said as an AUC, out of fold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.mean_shift import MeanShift
from emolab.monitoring.ranks import ranks
from emolab.monitoring.reference import Floats, Observations


def detect(reference: Observations) -> Test | None:
    """A test of what a linear classifier sees; ``None`` where there are no embeddings or none varies."""
    if not reference.embeddings.shape[1] or not np.ptp(reference.embeddings, axis=0).any():
        return None
    scale = np.asarray(reference.embeddings, dtype=np.float64).std(axis=0)
    scale[scale == 0] = 1.0

    def features(seen: Observations) -> NDArray[np.float64]:
        return np.concatenate([seen.embeddings / scale, seen.probs], axis=1, dtype=np.float64)

    held = features(reference)
    fitted = mean_shift.fit(held, learned=True)

    def words(window: Observations) -> tuple[str, ...]:
        found = _auc(fitted, held, features(window))
        return (f"a classifier tells the window from the reference with AUC {found:.2f}",)

    return MeanTest(features=features, fitted=fitted, words=words)


def loudness(reference: Observations, window: Observations, embeddings: Floats) -> NDArray[np.float64]:
    """How far each of ``embeddings`` (m, d) lies on the window's side of what parts it from the reference (m,).

    The unit is the standard deviation of the reference in that direction, from its middle on.
    """
    fitted = mean_shift.fit(reference.embeddings, learned=True)
    given = np.asarray(window.embeddings, dtype=np.float64)
    direction = fitted.change @ (given.mean(axis=0) @ fitted.change - fitted.middle)
    held = np.asarray(reference.embeddings, dtype=np.float64) @ direction
    away = np.asarray(embeddings, dtype=np.float64) @ direction - held.mean()
    return np.asarray(away / (held.std() or 1.0), dtype=np.float64)


def loudest(reference: Observations, window: Observations, n: int) -> NDArray[np.int64]:
    """Rows (n,) of the window that the classifier finds least like the reference, the least first."""
    return np.argsort(-loudness(reference, window, window.embeddings), kind="stable")[:n]


def _auc(fitted: MeanShift, held: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    """Of two halves of the window each gives the direction in which the other is looked at."""
    halves = (given[0::2], given[1::2])
    found = []
    for one, other in (halves, halves[::-1]):
        if len(one) and len(other):
            direction = fitted.change @ (one.mean(axis=0) @ fitted.change - fitted.middle)
            found.append(float(ranks(held @ direction, other @ direction).mean()))
    return float(np.mean(found)) if found else 0.5
