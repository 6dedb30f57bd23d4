"""Several models about one moment: each counts by what it adds to its own prior, and the prior counts once."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.stats.fusion import Channel, Fuser, common_name, exclusive

AB = ("anger", "fear")


def two(weight: float = 1.0, prior: tuple[float, float] = (0.5, 0.5)) -> Fuser:
    return Fuser([Channel("face", AB, np.array(prior)), Channel("voice", AB, np.array(prior), weight)])


def test_channels_that_err_independently_multiply() -> None:
    found = two().fuse({"face": np.array([0.8, 0.2]), "voice": np.array([0.6, 0.4])})
    assert found == pytest.approx([0.48 / 0.56, 0.08 / 0.56])


def test_the_prior_counts_once_however_many_channels_repeat_it() -> None:
    prior = np.array([0.9, 0.1])
    assert two(prior=(0.9, 0.1)).fuse({"face": prior, "voice": prior}) == pytest.approx(prior)
    # both tell four times as much of fear as they expected
    found = two(prior=(0.9, 0.1)).fuse({"face": np.array([9 / 13, 4 / 13]), "voice": np.array([9 / 13, 4 / 13])})
    assert found == pytest.approx([0.9 / 2.5, 1.6 / 2.5])


@pytest.mark.parametrize("name", ["face", "voice"])
def test_a_single_channel_answers_as_its_model_does(name: str) -> None:
    said = np.array([0.3, 0.7])
    fuser = two(prior=(0.8, 0.2))
    assert fuser.fuse({name: said}) == pytest.approx(said)
    assert fuser.fuse({name: said, "voice" if name == "face" else "face": None}) == pytest.approx(said)
    assert fuser.fuse({"face": None}) is None and fuser.fuse({}) is None


def test_a_weight_of_nothing_is_a_channel_left_out() -> None:
    said = {"face": np.array([0.8, 0.2]), "voice": np.array([0.1, 0.9])}
    assert two(0.0).fuse(said) == pytest.approx(said["face"])
    twice, once = two(2.0).fuse(said), two(1.0).fuse(said)
    assert twice is not None and once is not None and twice[1] > once[1]


def test_classes_go_by_what_they_mean() -> None:
    fuser = Fuser(
        [Channel("face", ("neutral", "happiness", "contempt")), Channel("voice", ("calm", "neutral", "happy")),
         Channel("words", ("joy", "neutral"))]
    )  # fmt: skip
    assert fuser.classes == ("neutral", "happiness", "contempt")
    found = fuser.fuse({"voice": np.array([0.5, 0.2, 0.3])})
    assert found == pytest.approx([0.7, 0.3, 0.0], abs=1e-3)  # calm is neutral here; of contempt a voice knows nothing
    assert common_name("joy", fuser.classes) == "happiness" and common_name("calm", fuser.classes) == "neutral"
    assert Fuser([Channel("voice", ("calm", "neutral"))]).classes == ("calm", "neutral")


def test_a_class_that_a_channel_does_not_know_is_no_word_against_it() -> None:
    fuser = Fuser([Channel("face", ("neutral", "anger", "contempt")), Channel("words", ("neutral", "anger"))])
    found = fuser.fuse({"face": np.array([0.05, 0.05, 0.9]), "words": np.array([0.5, 0.5])})
    assert found is not None and fuser.classes[int(found.argmax())] == "contempt"
    assert found[0] == pytest.approx(found[1])


def test_one_channel_alone_cannot_rule_a_class_out() -> None:
    found = two().fuse({"face": np.array([1.0, 0.0]), "voice": np.array([1e-9, 1.0])})
    assert found is not None and np.isfinite(found).all() and 0.4 < found[0] < 0.6


def test_weights_are_found_on_validation_moments() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    truth = rng.integers(2, size=n)
    sides = np.where(truth == 0, 1.0, -1.0)
    face = 1 / (1 + np.exp(-2 * (sides + rng.standard_normal(n))))  # calibrated: the log odds are twice the evidence
    loud = 1 / (1 + np.exp(-8 * (sides + rng.standard_normal(n))))  # four times as sure as it may be
    noise = rng.uniform(0.01, 0.99, n)
    said = {name: np.stack([p, 1 - p], axis=1) for name, p in (("face", face), ("voice", loud), ("words", noise))}
    said["face"][:50] = np.nan  # no face there
    fuser = Fuser([Channel(name, AB) for name in said])
    found = fuser.fit_weights(said, [AB[t] for t in truth])
    assert found["face"] == pytest.approx(1.0, abs=0.12)
    assert found["voice"] == pytest.approx(0.25, abs=0.06)
    assert found["words"] < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_three_that_err_independently_are_right_more_often_than_the_best_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, names = 2000, ("anger", "fear", "neutral")
    truth = rng.integers(3, size=n)
    said = {}
    for name, clear in (("face", 1.2), ("voice", 0.8), ("words", 1.0)):
        heard = clear * np.eye(3)[truth] + rng.standard_normal((n, 3))
        odds = np.exp(clear * heard)  # calibrated: the likelihood of each class
        said[name] = odds / odds.sum(axis=1, keepdims=True)
    right = {name: float((rows.argmax(axis=1) == truth).mean()) for name, rows in said.items()}
    fuser = Fuser([Channel(name, names) for name in said])
    together = float((fuser.fuse_all(said, n).argmax(axis=1) == truth).mean())
    assert together > max(right.values()) + 0.04


def test_classes_by_themselves_become_one_of_them() -> None:
    found = exclusive(np.array([[0.2, 0.2, 0.2], [0.99, 0.5, 0.5]]))
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert found[0] == pytest.approx([1 / 3] * 3) and found[1, 0] == pytest.approx(99 / 101)
