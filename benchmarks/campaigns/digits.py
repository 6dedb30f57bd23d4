"""Digits of scikit-learn: 1,197 samples to ask about, 600 that judge, labels without error, 10 to 200 of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.campaigns import peers
from emolab.active_learning.simulation.frozen_trainer import Frozen
from emolab.active_learning.simulation.records import CampaignData, Terms
from emolab.active_learning.simulation.simulate import Stage
from emolab.active_learning.simulation.vote_costs import Votes

BUDGETS = (10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 120.0, 160.0, 200.0)
JUDGES = 600


def open_stage(_: Path) -> Stage:
    """The stage; the same in every process."""
    from sklearn.datasets import load_digits

    peers.register()
    points, truth = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(points))
    judge, pool = order[:JUDGES], order[JUDGES:]
    classes = tuple("0123456789")
    field = CampaignData(
        samples=[f"{row:04d}" for row in pool.tolist()],
        classes=classes,
        votes=np.eye(10, dtype=np.int64)[truth[pool]],
        skips=np.zeros(len(pool), dtype=np.int64),
    )
    return Stage(
        field,
        Terms(budgets=BUDGETS, votes=Votes.parse("1"), aggregator="majority"),
        lambda seed: Frozen(points[pool], points[judge], truth[judge], classes, seed=seed),
    )
