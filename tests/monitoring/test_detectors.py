"""What every detector of drift promises, whichever are registered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emolab.errors import DataError, UnknownName
from emolab.monitoring.detectors.domain_classifier import loudest
from emolab.monitoring.drift_look import Watch
from emolab.monitoring.reference import Observations, joined
from emolab.plugins import DETECTORS
from tests.support.watched import observations

#: A change that each detector is there to see, and what it says of it.
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "class_mix": ({"bias": 1.0}, "sadness"),
    "confidence": ({"sharper": 2.0}, "confidence median"),
    "embedding_mmd": ({"shift": 1.5}, "squared MMD"),
    "domain_classifier": ({"shift": 1.0}, "AUC 0."),
    "input_quality": ({"darker": 0.15}, "brightness median"),
    "annotators_agreement": ({"split": 0.3}, "commonest class"),
    "annotators_speed": ({"slower": 2.0}, "seconds a vote"),
}
#: Quiet pairs whose p-values are counted; below the small level so few may lie: binomial(400, 0.01) <= 11 in 99.9 %.
PAIRS, SMALL, MOST = 400, 0.01, 11


@pytest.mark.parametrize("name", DETECTORS.names())
def test_a_detector_sees_its_change_and_names_it(name: str) -> None:
    change, word = CHANGES[name]
    test = DETECTORS.load(name)(observations(1000, 0))
    found, quiet = test(observations(300, 1, **change)), test(observations(300, 1))
    assert found.p < 1e-6 < 0.001 < quiet.p
    assert found.statistic > 2 > quiet.statistic
    assert word in found.moved[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS.names())
@pytest.mark.parametrize(("n", "m"), [(200, 20), (600, 150)])
def test_without_a_change_small_p_values_are_as_rare_as_they_say(name: str, n: int, m: int) -> None:
    ps = []
    for seed in range(PAIRS):
        reference, window = observations(n, 2 * seed, rows=n), observations(m, 2 * seed + 1, rows=m)
        ps.append(DETECTORS.load(name)(reference)(window).p)
    assert sum(p < SMALL for p in ps) <= MOST
    assert 0.35 < np.mean(ps) < 0.65


@pytest.mark.parametrize("name", DETECTORS.names())
def test_a_detector_has_no_secret_randomness_and_keeps_to_the_order_of_nothing(name: str) -> None:
    reference, window = observations(400, 3), observations(120, 4)
    first, second = (DETECTORS.load(name)(reference)(window) for _ in range(2))
    assert first == second
    turned = replace(window.rows(np.arange(120)[::-1].copy()), agreement=window.agreement[::-1])
    assert DETECTORS.load(name)(reference)(turned).p == pytest.approx(first.p, rel=1e-6)


def test_a_detector_whose_columns_are_missing_is_left_out_and_named() -> None:
    bare = replace(observations(200, 0), embeddings=np.empty((200, 0)), quality={}, agreement=np.empty(0))
    watch = Watch(bare)
    assert watch.left_out == ("embedding_mmd", "domain_classifier", "input_quality", "annotators_agreement")
    assert set(watch.tests) == {"class_mix", "confidence", "annotators_speed"}


def test_a_class_mix_that_moved_in_the_probabilities_alone_is_named() -> None:
    reference = observations(600, 0)
    doubtful = reference.probs**0.5
    window = replace(reference, probs=doubtful / doubtful.sum(axis=1, keepdims=True))
    found = DETECTORS.load("class_mix")(reference)(window)
    assert found.p < 1e-6
    assert found.moved[0].startswith("mean probability of ")


def test_embeddings_that_never_vary_say_nothing() -> None:
    flat = replace(observations(200, 0), embeddings=np.zeros((200, 4)))
    assert {"embedding_mmd", "domain_classifier"} <= set(Watch(flat).left_out)


@pytest.mark.parametrize("before", [0, 5])
def test_a_column_of_quality_that_hardly_varies_is_counted(before: int) -> None:
    size = np.r_[np.full(200 - before, 48.0), np.full(before, 96.0)]
    reference = replace(observations(200, 0), quality={"size": size})
    test = DETECTORS.load("input_quality")(reference)
    same = replace(observations(100, 1), quality={"size": np.full(100, 48.0)})
    assert test(same).p > 0.5
    assert test(same).moved == ()
    other = replace(same, quality={"size": np.r_[np.full(70, 48.0), np.full(30, 96.0)]})
    found = test(other)
    assert found.p < 1e-6
    assert found.moved == (f"size other than 48 {before / 2:.1f}% -> 30.0%",)
    both = DETECTORS.load("input_quality")(replace(reference, quality={"size": size, "width": size}))
    assert both(replace(other, quality=dict.fromkeys(("size", "width"), other.quality["size"]))).p == 2 * found.p
    assert test(same.rows(slice(0, 0))).p == 1


def test_rare_values_beside_usual_columns_raise_no_false_alarms_and_are_seen() -> None:
    rng = np.random.default_rng(0)

    def drawn(n: int, *, rare: float = 0.003, darker: float = 0.0) -> Observations:
        made = observations(n, int(rng.integers(1 << 30)), darker=darker, rows=0)
        return replace(made, quality={"brightness": made.quality["brightness"], "masked": rng.random(n) < rare})

    test = DETECTORS.load("input_quality")(drawn(2000))
    p = np.array([test(drawn(150)).p for _ in range(400)])
    assert (p < 0.01).mean() <= 0.02
    assert (p < 0.001).mean() <= 0.005
    assert test(drawn(150, rare=0.2)).moved[0].startswith("masked other than 0 ")
    assert test(drawn(150, rare=0.2)).p < 1e-9
    assert test(drawn(150, darker=0.15)).moved[0].startswith("brightness median ")
    assert test(drawn(150, darker=0.15)).p < 1e-4


def test_a_look_raises_the_alarm_for_the_span_that_shows_the_change() -> None:
    watch = Watch(observations(1000, 0))
    quiet = [observations(100, seed) for seed in range(1, 6)]
    assert watch.look(quiet).alarms == ()
    faint = [observations(100, seed, bias=0.45) for seed in range(10, 18)]
    look = watch.look([*quiet, *faint])
    assert look.level == pytest.approx(0.05 / 52)
    assert {alarm.detector for alarm in look.alarms} >= {"class_mix"}
    assert {test.windows for test in look.tests} == {1, 4, 13}
    assert max(test.n for test in look.tests) == 1300


def test_a_window_in_which_nothing_was_seen_is_no_alarm() -> None:
    watch = Watch(observations(300, 0))
    nothing = observations(50, 1).rows(np.arange(0))
    assert watch.look([observations(50, 2), nothing]).tests == ()


def test_other_classes_or_columns_are_refused() -> None:
    watch, window = Watch(observations(300, 0)), observations(50, 1)
    renamed = replace(window, classes=("happiness", "neutral", "sadness"))
    with pytest.raises(DataError, match="not of the reference's model"):
        watch.look([renamed])
    with pytest.raises(DataError, match="not of the same model"):
        joined([window, replace(window, quality={})])


def test_a_small_reference_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(DataError, match="has 60 samples; it needs 100"):
        Watch(observations(60, 0))
    window = observations(20, 0)
    with pytest.raises(DataError, match="column brightness holds values that are no numbers"):
        replace(window, quality={"brightness": np.full(20, np.nan)})
    with pytest.raises(DataError, match="different lengths"):
        Observations(classes=window.classes, probs=window.probs, embeddings=np.zeros((3, 2)))
    with pytest.raises(UnknownName, match="detector of drift"):
        Watch(observations(200, 0), detectors=("class_mixx",))


def test_the_samples_that_speak_loudest_are_those_that_changed() -> None:
    new, old = observations(20, 1, shift=6.0), observations(180, 2)
    found = loudest(observations(500, 0), joined([old, new]), 20)
    assert sum(row >= 180 for row in found.tolist()) >= 15
