"""Figures of two models on the same samples, and the interval around their difference."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from emolab.stats.paired_bootstrap import FIGURES, figures, interval

K = 4


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_those_of_scikit_learn_and_lie_within_the_interval_of_their_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K - 1, 300)  # the last class does not occur, and does not count
    old, new = (
        rng.dirichlet(np.ones(K), 300).astype(np.float32) * 0.5 + np.eye(K, dtype=np.float32)[truth] * share
        for share in (0.1, 0.3)
    )
    old, new = (each / each.sum(axis=1, keepdims=True) for each in (old, new))
    found = {name: figures(probs, truth) for name, probs in (("old", old), ("new", new))}
    for name, probs in (("old", old), ("new", new)):
        guess, exact = probs.argmax(axis=1), probs.astype(float)
        assert found[name]["accuracy"] == pytest.approx(accuracy_score(truth, guess))
        assert found[name]["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro", labels=range(K - 1)))
        assert found[name]["nll"] == pytest.approx(
            log_loss(truth, exact / exact.sum(axis=1, keepdims=True), labels=range(K)), rel=1e-5
        )
    low, high = interval(new, old, truth, np.arange(300))
    for key in FIGURES:
        assert low[key] < found["new"][key] - found["old"][key] < high[key]
