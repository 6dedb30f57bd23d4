"""Quality of pictures or sounds: every column that was measured, by its ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.ranks import change, waves
from emolab.monitoring.reference import Observations


def detect(reference: Observations) -> Test | None:
    """A test of all columns of quality together; ``None`` where none was measured or none varies."""
    names = sorted(name for name, column in reference.quality.items() if np.ptp(column) > 0)
    if not names:
        return None

    def features(seen: Observations) -> NDArray[np.float64]:
        return np.concatenate([waves(reference.quality[name], seen.quality[name]) for name in names], axis=1)

    fitted = mean_shift.fit(features(reference), learned=True)
    alone = {
        name: mean_shift.fit(waves(reference.quality[name], reference.quality[name]), learned=True) for name in names
    }

    def words(window: Observations) -> tuple[str, ...]:
        def p(name: str) -> float:  # which columns to name; the level is that of all together
            made = waves(reference.quality[name], window.quality[name])
            return alone[name].test(made.mean(axis=0), len(made))[1]

        order = sorted(names, key=p)
        return tuple(f"{name} {change(reference.quality[name], window.quality[name])}" for name in order[:3])

    return MeanTest(features=features, fitted=fitted, words=words)
