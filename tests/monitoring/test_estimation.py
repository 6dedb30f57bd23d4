"""Accuracy without labels, the audit that tests it, and what a monitor can see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.monitoring import audit, power
from emolab.monitoring.estimation import AccuracyEstimate, AccuracyEstimator, density_ratio, logistic
from emolab.monitoring.reference import Observations
from emolab.stats.proportions import Interval
from tests.support.watched import observations


def answered(n: int, seed: int, *, worse: float = 0.0) -> tuple[Observations, NDArray[np.int64]]:
    """Samples with their true classes, drawn from the probabilities; where embedding 11 is large, from wrong ones."""
    seen = observations(n, seed, sharper=20.0)
    rng = np.random.default_rng(seed + 1_000_000)
    truth = (rng.uniform(size=(n, 1)) > seen.probs.cumsum(axis=1)).sum(axis=1)
    mistaken = (seen.embeddings[:, 11] > 1) | (rng.uniform(size=n) < worse)
    return seen, np.where(mistaken, rng.integers(0, 3, n), np.minimum(truth, 2))


def right(seen: Observations, truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    return seen.probs.argmax(axis=1) == truth


def test_the_estimate_is_near_the_truth_and_its_interval_holds_it() -> None:
    estimator = AccuracyEstimator(*answered(3000, 0))
    misses, held = [], 0
    for seed in range(1, 61):
        seen, truth = answered(1000, seed)
        found, true = estimator.estimate(seen), right(seen, truth).mean()
        misses.append(abs(found.accuracy - true))
        held += found.interval.low <= true <= found.interval.high
    assert np.mean(misses) < 0.02
    assert held >= 50


def test_the_estimate_follows_a_shift_of_what_is_seen() -> None:
    seen, truth = answered(3000, 0)
    estimator = AccuracyEstimator(seen, truth)
    new, labels = answered(6000, 5)
    rows = np.flatnonzero(new.embeddings[:, 11] > 0)
    true = right(new, labels)[rows].mean()
    found = estimator.estimate(new.rows(rows))
    drop = right(seen, truth).mean() - true
    assert drop > 0.1
    assert abs(found.accuracy - true) < drop / 2  # its own standard error is 0.022
    assert found.judged < 2500


@pytest.mark.parametrize("hits", [0, 1, 119, 120])
def test_few_judged_samples_leave_a_doubt_even_where_all_are_alike(hits: int) -> None:
    seen, _ = answered(120, 3)
    said = seen.probs.argmax(axis=1)
    truth = np.where(np.arange(120) < hits, said, (said + 1) % seen.probs.shape[1])
    found = AccuracyEstimator(seen, truth).estimate(answered(5000, 4)[0])
    low, high = found.interval
    assert low <= hits / 120 <= high
    assert high - low > 0.015
    assert found.error >= 0.008


def test_too_few_judged_samples_or_an_empty_window_are_refused() -> None:
    seen, truth = answered(50, 0)
    with pytest.raises(DataError, match="50 judged samples are too few"):
        AccuracyEstimator(seen, truth)
    with pytest.raises(DataError, match="nothing in the window"):
        AccuracyEstimator(*answered(200, 0)).estimate(seen.rows(slice(0, 0)))


def test_weights_are_one_on_average_and_larger_where_the_window_is() -> None:
    rng = np.random.default_rng(0)
    reference, window = rng.standard_normal((2000, 2)), rng.normal((1.0, 0.0), 1.0, (500, 2))
    weights = density_ratio(reference, window)
    assert weights.mean() == pytest.approx(1)
    assert np.average(reference[:, 0], weights=weights) == pytest.approx(1.0, abs=0.15)


def test_the_logistic_model_finds_the_weights_it_was_made_with() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((20_000, 2))
    targets = (rng.uniform(size=20_000) < 1 / (1 + np.exp(-(features @ [1.0, -2.0] + 0.5)))).astype(float)
    assert logistic(features, targets, np.ones(20_000), 1e-6) == pytest.approx([1.0, -2.0, 0.5], abs=0.08)


def test_an_audit_is_true_on_average_and_its_interval_holds() -> None:
    seen, truth = answered(4000, 1)
    hits, confidence = right(seen, truth), seen.probs.max(axis=1)
    found = []
    for seed in range(300):
        planned = audit.plan(confidence, 120, np.random.default_rng(seed))
        assert len(planned.rows) == len(set(planned.rows.tolist())) == 120
        found.append(audit.realized(planned, hits[planned.rows]))
    assert np.mean([one.accuracy for one in found]) == pytest.approx(hits.mean(), abs=0.008)
    held = sum(one.interval.low <= hits.mean() <= one.interval.high for one in found)
    assert held >= 272  # 285 expected at 95 %, less 3.4 standard deviations


def test_an_audit_asks_about_every_stratum_however_few_it_may_ask() -> None:
    for seed in range(300):
        rng = np.random.default_rng(seed)
        confidence = 1 - 0.8 * rng.beta(0.3, rng.choice([0.1, 0.5, 2.0, 20.0]), int(rng.integers(1, 60)))
        for n in range(1, 12):
            planned = audit.plan(confidence, n, rng)
            asked = np.bincount(planned.strata[planned.rows], minlength=audit.STRATA)
            sizes = np.bincount(planned.strata, minlength=audit.STRATA)
            assert ((asked > 0) == (sizes > 0)).all()
            assert len(planned.rows) == min(max(n, audit.STRATA), len(confidence))


def test_an_audit_of_everything_is_exact_and_one_with_an_empty_stratum_is_refused() -> None:
    confidence = np.linspace(0.3, 0.9, 40)
    whole = audit.plan(confidence, 100, np.random.default_rng(0))
    found = audit.realized(whole, np.arange(40) < 30)
    assert (found.accuracy, found.error, found.interval) == (0.75, 0.0, Interval(0.75, 0.75))
    with pytest.raises(DataError, match="no sample is labelled yet"):
        audit.realized(whole, np.ones(5, dtype=bool), np.arange(5))


def test_the_audit_tells_an_estimate_whose_assumption_broke() -> None:
    estimator = AccuracyEstimator(*answered(3000, 0))
    verdicts = []
    for worse in (0.0, 0.6):
        seen, truth = answered(2000, 7, worse=worse)
        planned = audit.plan(seen.probs.max(axis=1), 300, np.random.default_rng(0))
        realized = audit.realized(planned, right(seen, truth)[planned.rows])
        verdicts.append(audit.agrees(estimator.estimate(seen), realized))
    assert verdicts[0].p > 0.001
    assert "agrees with the audit" in verdicts[0].words(0.001)
    assert verdicts[1].p < 0.001
    assert "too high by" in verdicts[1].words(0.001)


def test_an_audit_of_no_error_leaves_no_doubt() -> None:
    sure = AccuracyEstimate(n=10, accuracy=0.8, error=0.0, judged=10.0)
    exact = audit.RealizedAccuracy(n=10, accuracy=0.8, error=0.0, interval=Interval(0.8, 0.8))
    assert audit.agrees(sure, exact).p == 1
    assert audit.agrees(sure, replace(exact, accuracy=0.7)).p == 0


def test_power_in_words_agrees_with_what_happens() -> None:
    weeks = power.weeks_until_seen(per_week=200, drop=0.1, accuracy=0.85, judged=3000)
    assert weeks == 2
    rng = np.random.default_rng(0)
    n, needed = 200 * weeks, 3.1013  # normal quantile of 1 - 0.05 / 52
    before, after = rng.binomial(3000, 0.85, 4000) / 3000, rng.binomial(n, 0.75, 4000) / n
    pooled = (before * 3000 + after * n) / (3000 + n)
    seen = (before - after) / np.sqrt(pooled * (1 - pooled) * (1 / 3000 + 1 / n)) > needed
    assert 0.78 < seen.mean() < 0.999
    nothing = power.words(per_week=5, drop=0.01, accuracy=0.85, judged=300)
    assert nothing == "With 5 labelled samples a week a drop of 1 points is not seen within a year with 80 %."
