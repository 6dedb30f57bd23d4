"""The simulated team: each person has a way of answering, and sticks to it."""

from __future__ import annotations

from collections import Counter

import pytest

from emolab.labeling.team import TEAM, Annotator, answer

CROWD = {"happiness": 0.7, "neutral": 0.1, "sadness": 0.2}


def many(annotator: Annotator, crowd: dict[str, float] = CROWD, n: int = 2000) -> Counter[str | None]:
    return Counter(answer(annotator, f"sample{i}", crowd).label for i in range(n))


def test_the_same_person_says_the_same_about_the_same_sample() -> None:
    for annotator in TEAM:
        assert answer(annotator, "s", CROWD) == answer(annotator, "s", CROWD)


def test_an_average_person_answers_like_the_crowd() -> None:
    counts = many(Annotator(name="x", character="average"))
    assert counts["happiness"] / 2000 == pytest.approx(0.7, abs=0.04)


def test_a_careful_person_is_right_more_often_than_one_in_a_hurry() -> None:
    careful, hasty = (next(a for a in TEAM if a.name == name) for name in ("ada", "eli"))
    assert many(careful)["happiness"] > many(hasty)["happiness"] + 200
    assert answer(careful, "s", CROWD).seconds != answer(hasty, "s", CROWD).seconds


def test_a_biased_person_leans_to_one_class_and_never_invents_one() -> None:
    dev = next(a for a in TEAM if a.name == "dev")
    assert many(dev)["neutral"] > 500
    assert set(many(dev, {"no_face": 1.0})) <= {"no_face", None}


def test_skips_happen_as_often_as_said() -> None:
    assert many(Annotator(name="x", character="tired", skips=0.25))[None] == pytest.approx(500, abs=80)
