"""Two models side by side: the interval, the rule, and which samples count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.stats import metrics
from emolab.training.judging.comparison import Verdict, compare, interval

CLASSES = ("happiness", "sadness", "neutral")


def answers(truth: NDArray[np.int64], right: float, *, seed: int, sure: float = 0.8) -> NDArray[np.float32]:
    """Probabilities (n, 3) of a model that is right about a share ``right`` of ``truth``."""
    rng = np.random.default_rng(seed)
    guess = np.where(rng.random(len(truth)) < right, truth, (truth + 1) % 3)
    probs = np.full((len(truth), 3), (1 - sure) / 2, dtype=np.float32)
    probs[np.arange(len(truth)), guess] = sure
    return probs


def verdict(n: int, new: float, old: float, **changes: Any) -> Verdict:
    truth = np.arange(n, dtype=np.int64) % 3
    return compare(
        answers(truth, new, seed=1),
        answers(truth, old, seed=2),
        truth,
        CLASSES,
        **{
            "groups": np.arange(n),
            "fair": np.ones(n, dtype=bool),
            "unknown": (),
            "against": "face48",
            **changes,
        },
    )


@pytest.mark.parametrize(
    ("n", "new", "old", "wins", "words"),
    [
        (300, 0.85, 0.80, True, "on the same 300 samples"),
        (300, 0.80, 0.85, False, "on the same 300 samples"),
        (199, 0.80, 0.79, False, "fewer than 200 samples, and the interval does not lie above zero"),
        (199, 0.95, 0.50, True, "fewer than 200 samples, and the interval lies above zero"),
        (199, 0.50, 0.95, False, "the interval does not lie above zero"),
        (30, 0.99, 0.20, True, "the interval lies above zero"),
        (7, 1.0, 0.0, False, "only 7 validation samples that neither has learned from to compare on, so face48 stays"),
        (0, 1.0, 0.0, False, "no validation samples to compare on, so face48 stays"),
    ],
)
def test_many_samples_decide_and_few_need_an_interval_above_zero(
    n: int, new: float, old: float, wins: bool, words: str
) -> None:
    found = verdict(n, new, old)
    assert found.wins is wins
    assert words in found.reason
    assert found.document["wins"] is wins
    if n >= 30:
        assert found.reason.startswith("macro-F1 ")
        assert "of face48" in found.reason


def test_what_is_not_known_to_be_fair_needs_the_interval_too() -> None:
    assert verdict(300, 0.82, 0.80).wins
    found = verdict(300, 0.82, 0.80, unknown=("model 1234 has no record",))
    assert not found.wins
    assert "not all is known of what they learned from" in found.reason
    assert found.document["unknown"] == ["model 1234 has no record"]
    assert verdict(300, 0.95, 0.50, unknown=("model 1234 has no record",)).wins


def test_validation_samples_that_were_all_learned_are_not_called_missing() -> None:
    found = verdict(300, 1.0, 0.0, fair=np.zeros(300, dtype=bool))
    assert found.reason == "no validation sample that neither has learned from to compare on, so face48 stays"


def test_learned_samples_do_not_count() -> None:
    n = 400
    truth = np.arange(n, dtype=np.int64) % 3
    fair = np.arange(n) >= 150
    old = answers(truth, 0.7, seed=2)
    old[~fair] = np.eye(3, dtype=np.float32)[truth[~fair]]  # it knows these by heart
    new = answers(truth, 0.75, seed=1)
    everything, apart = (
        compare(new, old, truth, CLASSES, groups=np.arange(n), fair=chosen, unknown=(), against="face48")
        for chosen in (np.ones(n, dtype=bool), fair)
    )
    assert not everything.wins
    assert apart.wins
    assert (apart.document["n"], apart.document["learned"]) == (250, 150)
    assert "on the 250 samples that neither has learned from" in apart.reason


def test_the_figures_are_those_of_the_metrics() -> None:
    truth = np.arange(250, dtype=np.int64) % 3
    document = verdict(250, 0.8, 0.7).document
    expected = metrics.summary(answers(truth, 0.8, seed=1), truth, CLASSES)
    assert document["new"] == {key: expected[key] for key in ("macro_f1", "accuracy", "nll")}
    for key, found in document["difference"].items():
        assert found["low"] <= document["new"][key] - document["old"][key] <= found["high"]


def test_samples_of_one_group_count_as_one() -> None:
    """Ten people with 30 pictures each say less than 300 people, and 7 are too few."""
    truth = np.arange(300, dtype=np.int64) % 3
    people = np.arange(300) // 30
    rng = np.random.default_rng(0)
    lucky = rng.random(10) < 0.7
    new = np.where(lucky[people][:, None], np.eye(3)[truth], np.eye(3)[(truth + 1) % 3]).astype(np.float32) * 0.9 + 0.03
    old = answers(truth, 0.5, seed=3)
    low, high = interval(new, old, truth, np.arange(300))
    grouped_low, grouped_high = interval(new, old, truth, people)
    assert grouped_high["macro_f1"] - grouped_low["macro_f1"] > 2 * (high["macro_f1"] - low["macro_f1"])
    found = verdict(300, 1.0, 0.1, groups=np.arange(300) % 7)
    assert not found.wins
    assert "the 300 samples to compare on belong to 7 groups, too few to tell" in found.reason


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Two models that are equally good: how often the interval of 40 samples lies on one side of zero."""
    outside = 0
    for seed in range(120):
        truth = np.arange(40, dtype=np.int64) % 3
        low, high = interval(
            answers(truth, 0.75, seed=2 * seed), answers(truth, 0.75, seed=2 * seed + 1), truth, np.arange(40)
        )
        outside += low["accuracy"] > 0 or high["accuracy"] < 0
    assert outside <= 13


def test_the_same_samples_give_the_same_interval() -> None:
    assert verdict(120, 0.8, 0.7).document == verdict(120, 0.8, 0.7).document
