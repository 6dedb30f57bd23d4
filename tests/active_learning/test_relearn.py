"""A head solved again on a few answers, and the queue by it: pure functions of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection.relearn import rearranged, relearn
from emolab.errors import DataError

Floats = NDArray[np.float64]


def world(n: int, *, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Features (n, 6) of two classes, what a model that looks at the wrong feature says, and the truth (n, 2)."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 6))
    wrong = 1 / (1 + np.exp(-2 * features[:, 1]))
    return features, np.column_stack([1 - wrong, wrong]), np.eye(2)[(features[:, 0] > 0).astype(int)]


def test_the_head_learns_what_the_model_did_not_know() -> None:
    features, probs, truth = world(400)
    said = relearn(features[:200], probs[:200], truth[:200], features[200:], probs[200:])
    right = (said.probs.argmax(axis=1) == truth[200:].argmax(axis=1)).mean()
    before = (probs[200:].argmax(axis=1) == truth[200:].argmax(axis=1)).mean()
    assert before < 0.6 < 0.9 < right
    assert np.allclose(said.probs.sum(axis=1), 1) and ((said.scores >= 0) & (said.scores <= 1)).all()


def test_the_most_doubtful_task_has_the_highest_score() -> None:
    features, probs, truth = world(400)
    said = relearn(features[:200], probs[:200], truth[:200], features[200:], probs[200:])
    gap = np.abs(said.probs[:, 0] - said.probs[:, 1])
    assert said.scores.argmax() == gap.argmin() and np.allclose(said.scores, 1 - gap)


def test_answers_the_model_expected_leave_its_opinion_as_it_is() -> None:
    features, probs, _ = world(120)
    said = relearn(features[:20], probs[:20], probs[:20], features[20:], probs[20:])
    assert np.abs(said.probs - probs[20:]).max() < 0.02


def test_the_same_answers_give_the_same_scores_and_half_precision_does() -> None:
    features, probs, truth = world(100)
    first = relearn(features[:60], probs[:60], truth[:60], features[60:], probs[60:])
    again = relearn(features[:60], probs[:60], truth[:60], features[60:], probs[60:])
    assert np.array_equal(first.scores, again.scores)
    half = features.astype(np.float16)
    near = relearn(half[:60], probs[:60].astype(np.float32), truth[:60], half[60:], probs[60:].astype(np.float32))
    assert np.abs(first.scores - near.scores).max() < 0.02


def test_what_the_model_has_no_prediction_for_neither_teaches_nor_gets_a_score() -> None:
    features, probs, truth = world(100)
    without = relearn(features[1:60], probs[1:60], truth[1:60], features[60:], probs[60:])
    features[0], probs[60] = np.nan, np.nan
    said = relearn(features[:60], probs[:60], truth[:60], features[60:], probs[60:])
    assert np.isnan(said.scores[0]) and np.array_equal(said.scores[1:], without.scores[1:])
    with pytest.raises(DataError, match="no prediction for any of the answered samples"):
        relearn(features[:1], probs[:1], truth[:1], features[60:], probs[60:])


def test_one_answer_and_one_class_are_enough_to_go_on() -> None:
    features, probs, truth = world(50)
    one = relearn(features[:1], probs[:1], truth[:1], features[20:], probs[20:])
    same = truth[:, 0] == 1
    alike = relearn(features[same][:5], probs[same][:5], truth[same][:5], features[20:], probs[20:])
    assert np.isfinite(one.scores).all() and np.isfinite(alike.scores).all()


def test_fixed_tasks_keep_their_places_and_tasks_without_a_score_come_last() -> None:
    scores = np.array([0.1, np.nan, 0.9, 0.5, 0.9])
    assert rearranged(scores, np.zeros(5, dtype=bool)).tolist() == [2, 4, 3, 0, 1]
    assert rearranged(scores, np.array([True, False, False, True, False])).tolist() == [0, 2, 4, 3, 1]
    assert rearranged(scores, np.ones(5, dtype=bool)).tolist() == [0, 1, 2, 3, 4]
    assert rearranged(np.empty(0), np.empty(0, dtype=bool)).tolist() == []
