"""How far annotators agree: for each sample that they labelled the share of its votes that its commonest class got."""

from __future__ import annotations

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.ranks import waves
from emolab.monitoring.reference import FEWEST, Observations


def detect(reference: Observations) -> Test | None:
    """A test of the agreement, by its ranks; ``None`` where fewer than 100 samples of the reference have votes."""
    held = reference.agreement
    if len(held) < FEWEST or held.min() == held.max():
        return None
    fitted = mean_shift.fit(waves(held, held), learned=True)

    def words(window: Observations) -> tuple[str, ...]:
        return (f"mean share of the commonest class {held.mean():.2f} -> {window.agreement.mean():.2f}",)

    return MeanTest(features=lambda seen: waves(held, seen.agreement), fitted=fitted, words=words)
