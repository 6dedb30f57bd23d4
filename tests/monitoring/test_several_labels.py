"""Samples with several labels: each class counts by itself in the mix, in confidence and in the accuracy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.monitoring.estimation import AccuracyEstimator, hits
from emolab.monitoring.reference import Observations, alike, joined
from emolab.plugins import DETECTORS

CLASSES = ("joy", "anger", "fear")


def drawn(n: int, seed: int, *, more: float = 0.0, both: float = 0.0, surer: float = 1.0) -> tuple[Observations, ...]:
    """``n`` samples and which classes apply (n, 3): ``more`` log-odds of anger, ``both`` for anger where joy is."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((n, 8))
    logits = 2 * embeddings[:, :3] - 1
    logits[:, 1] += more
    logits[:, 1] += both * (logits[:, 0] > 0)
    truth = (rng.random((n, 3)) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    probs = 1 / (1 + np.exp(-surer * logits))
    return Observations(classes=CLASSES, probs=probs, embeddings=embeddings, thresholds=(0.5, 0.4, 0.5)), truth


def test_answers_are_all_labels_or_the_nearest_one() -> None:
    probs = np.array([[0.6, 0.5, 0.1], [0.1, 0.2, 0.45], [0.3, 0.4, 0.9]])
    seen = Observations(classes=CLASSES, probs=probs, embeddings=np.zeros((3, 1)), thresholds=(0.5, 0.4, 0.5))
    assert seen.answers().astype(int).tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 1]]
    one = replace(seen, thresholds=())
    assert one.answers().astype(int).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert not alike(one, seen)
    assert joined([seen, seen]).thresholds == seen.rows(slice(0, 2)).thresholds == seen.thresholds
    with pytest.raises(DataError, match="2 thresholds for 3 classes"):
        replace(seen, thresholds=(0.5, 0.5))


@pytest.mark.parametrize(
    ("change", "detector", "words"),
    [
        ({"more": 1.2}, "class_mix", "anger "),
        ({"both": 3.0}, "class_mix", "anger "),
        ({"surer": 2.5}, "confidence", "confidence median"),
    ],
)
def test_each_detector_sees_its_change(change: dict[str, float], detector: str, words: str) -> None:
    test = DETECTORS.load(detector)(drawn(600, 0)[0])
    assert test(drawn(200, 1)[0]).p > 0.001
    found = test(drawn(200, 1, **change)[0])
    assert found.p < 1e-5
    assert found.moved[0].startswith(words)


@pytest.mark.parametrize("detector", ["class_mix", "confidence"])
def test_without_a_change_small_p_values_are_as_rare_as_they_say(detector: str) -> None:
    p = []
    for seed in range(300):
        test = DETECTORS.load(detector)(drawn(400, 2 * seed)[0])
        p.append(test(drawn(100, 2 * seed + 1)[0]).p)
    assert np.mean(np.array(p) < 0.05) <= 0.08
    assert np.mean(np.array(p) < 0.01) <= 0.025


def test_a_second_label_is_no_doubt() -> None:
    rng = np.random.default_rng(0)

    def made(second: float | None) -> Observations:
        sure, low = 0.985 + 0.01 * rng.random(400), 0.02 + 0.02 * rng.random(400)
        there = 1 - low if second is None else second + low
        probs = np.stack([sure, there, rng.random(400) * 0.05], axis=1)
        return Observations(classes=CLASSES, probs=probs, embeddings=np.empty((400, 0)), thresholds=(0.5, 0.4, 0.5))

    test = DETECTORS.load("confidence")(made(0.0))
    assert test(made(None)).p > 0.001, "as sure that there is a second label as it was that there is none"
    assert test(made(0.5)).p < 1e-9


def test_a_class_that_nearly_all_samples_have_counts_by_its_probability_alone() -> None:
    def made(n: int, seed: int, without: int) -> Observations:
        rng = np.random.default_rng(seed)
        probs = rng.random((n, 3))
        probs[:, 0] = np.where(np.arange(n) < without, 0.4999, 0.5001)  # next to the threshold, on either side of it
        return Observations(classes=CLASSES, probs=probs, embeddings=np.empty((n, 0)), thresholds=(0.5, 0.1, 0.1))

    test = DETECTORS.load("class_mix")(made(1000, 0, 20))
    assert test(made(100, 1, 10)).p == pytest.approx(test(made(100, 1, 2)).p, rel=0.2)
    common = DETECTORS.load("class_mix")(made(1000, 0, 200))
    assert common(made(100, 1, 60)).p < 1e-6 < common(made(100, 1, 20)).p


def test_an_answer_is_right_where_the_likeliest_class_is_one_of_the_labels() -> None:
    seen, truth = drawn(4, 0)
    seen = replace(seen, probs=np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.1], [0.2, 0.1, 0.3], [0.6, 0.7, 0.2]]))
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    assert hits(seen, truth).tolist() == [True, False, False, True]
    assert hits(seen, np.array([0, 0, -1, 1])).tolist() == [True, False, False, True]


def test_the_accuracy_of_several_labels_is_estimated() -> None:
    judged, truth = drawn(3000, 0)
    estimator = AccuracyEstimator(judged, truth)
    window, real = drawn(2000, 1, more=1.5)
    found = estimator.estimate(window)
    assert abs(found.accuracy - hits(window, real).mean()) < 0.03
