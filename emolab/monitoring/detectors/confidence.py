"""How sure the model is: its highest probability, and how far it is from the second one.

Where samples may have several labels, a second one is no doubt. Then it is beside the highest probability how many
classes are probably decided wrongly: the sum over the classes of the smaller one of p and 1 - p.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.ranks import change, waves
from emolab.monitoring.reference import Observations


def detect(reference: Observations) -> Test | None:
    """A test of the confidence and the margin, or the doubt in all classes, by their ranks."""
    held = _columns(reference)

    def features(seen: Observations) -> NDArray[np.float64]:
        return np.concatenate([waves(a, b) for a, b in zip(held, _columns(seen), strict=True)], axis=1)

    fitted = mean_shift.fit(features(reference), learned=True)

    def words(window: Observations) -> tuple[str, ...]:
        return (f"confidence {change(held[0], _columns(window)[0])}",)

    return MeanTest(features=features, fitted=fitted, words=words)


def _columns(seen: Observations) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ordered = np.sort(np.asarray(seen.probs, dtype=np.float64), axis=1)
    if seen.thresholds:
        return ordered[:, -1], np.minimum(ordered, 1 - ordered).sum(axis=1)
    return ordered[:, -1], ordered[:, -1] - ordered[:, -2]
