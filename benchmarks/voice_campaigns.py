"""Votes saved by choosing which clips to ask about: campaigns on RAVDESS speech, replayed in pairs by speaker.

Every strategy against `random`, from the same first clips. Fifteen actors are asked about and five others judge, in
four folds over actors 1 to 20; seeds are split over the folds, and every difference is within one. The features are
computed, not learned (:mod:`benchmarks.campaigns.ravdess`), so no voice is known beforehand. The figures say how
selection does here, not how good a model of voices gets. Chance is 12.5 %. Needs the test data pack (EMOLAB_TEST_DATA
or ../shared).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.campaigns import ravdess
from benchmarks.harness import Result, main
from benchmarks.simulate import told
from benchmarks.speech import ravdess as archive
from emolab.active_learning.simulation.campaign import EVERYTHING
from emolab.active_learning.simulation.compare import CONTROL, verdicts
from emolab.active_learning.simulation.simulate import simulate

NAMES = (CONTROL, "margin", "entropy", "badge", "coreset", "typiclust", "uherding")
SEEDS = 6


def run(quick: bool) -> list[Result]:
    """Play all folds; quick: two strategies, one fold, two seeds."""
    names = [CONTROL, "margin"] if quick else list(NAMES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = ravdess.prepare(archive(), Path(temporary))
        played = []
        for fold in range(1 if quick else ravdess.FOLDS):
            seeds = range(100 * fold, 100 * fold + (2 if quick else SEEDS))
            played += simulate(folder / f"fold{fold}", ravdess.open_stage, [*names, EVERYTHING], seeds)
    whole = [one for one in played if one.strategy == EVERYTHING]
    found = verdicts([one for one in played if one.strategy != EVERYTHING], ravdess.BUDGETS, whole=whole)
    n = 60 * ravdess.JUDGES
    top = [100 * one.scores["balanced_accuracy"] for one in whole]
    rows = [
        Result("everything labelled, UA", float(np.mean(top)), "%", n=n, seeds=len(whole), spread=(min(top), max(top)),
               note=f"{whole[0].votes:,} votes")
    ]  # fmt: skip
    return rows + [told("RAVDESS, 1 vote", one, n=n) for one in found]


if __name__ == "__main__":
    main(run)
