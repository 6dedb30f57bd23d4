"""Metrics against scikit-learn, by hand where it has none, and on degenerate sets."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.stats import metrics

CLASSES = ("happy", "sad", "angry")
TRUTH = np.array([0, 0, 0, 1, 1, 2])
PROBS = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1]])


def test_agrees_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    found = metrics.summary(PROBS, TRUTH, CLASSES)
    guess = PROBS.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(TRUTH, guess))
    assert found["macro_f1"] == pytest.approx(sklearn.f1_score(TRUTH, guess, average="macro", zero_division=0))
    assert found["balanced_accuracy"] == pytest.approx(sklearn.balanced_accuracy_score(TRUTH, guess))
    assert found["nll"] == pytest.approx(sklearn.log_loss(TRUTH, PROBS))
    assert found["confusion"] == sklearn.confusion_matrix(TRUTH, guess).tolist()


def test_per_class_says_where_a_value_is_undefined() -> None:
    rows = {row["class"]: row for row in metrics.summary(PROBS, TRUTH, CLASSES)["per_class"]}
    assert rows["angry"] == {
        "class": "angry", "precision": None, "recall": 0.0, "f1": 0.0, "support": 1, "predicted": 0,
    }  # fmt: skip


def test_a_class_that_does_not_occur_is_no_part_of_the_means() -> None:
    found = metrics.summary(PROBS[:3], TRUTH[:3], CLASSES)
    assert found["present"] == 1
    assert found["macro_f1"] == pytest.approx(0.8)
    assert found["per_class"][1]["f1"] is None


def test_calibration_error_of_honest_and_of_boastful_answers() -> None:
    truth = np.array([0] * 7 + [1] * 3)
    honest = np.tile([0.7, 0.3], (10, 1))
    boastful = np.tile([0.99, 0.01], (10, 1))
    assert metrics.expected_calibration_error(honest, truth) == pytest.approx(0.0)
    assert metrics.expected_calibration_error(boastful, truth) == pytest.approx(0.29)


def test_brier_is_zero_for_certain_and_right_and_two_for_certain_and_wrong() -> None:
    sure = np.array([[1.0, 0.0]])
    assert metrics.brier(sure, np.array([0])) == 0.0
    assert metrics.brier(sure, np.array([1])) == 2.0


def test_an_empty_set_gives_no_numbers_rather_than_wrong_ones() -> None:
    assert metrics.summary(np.empty((0, 3)), np.empty(0, dtype=int), CLASSES) == {
        "n": 0, "present": 0, "per_class": [], "confusion": [],
    }  # fmt: skip


def test_against_votes_a_copy_of_the_votes_is_nearest_and_as_unsure_as_people() -> None:
    votes = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.1, 0.9, 0.0]])
    same = metrics.against_votes(votes, votes)
    sure = metrics.against_votes(np.eye(3)[votes.argmax(axis=1)], votes)
    turned = metrics.against_votes(votes[[2, 3, 0, 1]], votes)
    assert same["brier"] == 0
    assert same["cross_entropy"] == pytest.approx(float(metrics.entropy(votes).mean()))
    assert same["entropy_correlation"] == pytest.approx(1)
    assert sure["brier"] > 0.2
    assert sure["cross_entropy"] > same["cross_entropy"]
    assert sure["entropy_correlation"] is None  # it is never unsure
    assert turned["entropy_correlation"] < 0
