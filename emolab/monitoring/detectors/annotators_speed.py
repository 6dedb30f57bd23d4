"""How long annotators take for a vote, in seconds."""

from __future__ import annotations

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.ranks import change, waves
from emolab.monitoring.reference import FEWEST, Observations


def detect(reference: Observations) -> Test | None:
    """A test of the seconds a vote takes, by their ranks; ``None`` where the reference has fewer than 100."""
    held = reference.seconds
    if len(held) < FEWEST or held.min() == held.max():
        return None
    fitted = mean_shift.fit(waves(held, held), learned=True)

    def words(window: Observations) -> tuple[str, ...]:
        return (f"seconds a vote {change(held, window.seconds, unit=' s')}",)

    return MeanTest(features=lambda seen: waves(held, seen.seconds), fitted=fitted, words=words)
