"""How sure the model is: its highest probability, and how far it is from the second one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.ranks import change, waves
from emolab.monitoring.reference import Observations


def detect(reference: Observations) -> Test | None:
    """A test of the confidence and the margin, by their ranks."""
    held = _columns(reference)

    def features(seen: Observations) -> NDArray[np.float64]:
        return np.concatenate([waves(a, b) for a, b in zip(held, _columns(seen), strict=True)], axis=1)

    fitted = mean_shift.fit(features(reference), learned=True)

    def words(window: Observations) -> tuple[str, ...]:
        return (f"confidence {change(held[0], _columns(window)[0])}",)

    return MeanTest(features=features, fitted=fitted, words=words)


def _columns(seen: Observations) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ordered = np.sort(np.asarray(seen.probs, dtype=np.float64), axis=1)
    return ordered[:, -1], ordered[:, -1] - ordered[:, -2]
