"""Made sentences: the same for the same seed, no two alike, kept as they are, and learnt by n-grams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.demonstration import policies
from emolab.demonstration.data import DemoData, drawn
from emolab.demonstration.kinds.demo_kind import file_of, open_kind
from emolab.demonstration.policies import EMOLAB, USUAL
from emolab.demonstration.replay import ASKING, replay
from emolab.demonstration.sentences.made_sentences import CLASSES, make_sentences
from emolab.modalities.text.sentence import store_form

WAYS = {policy.name: policy for policy in (policies.usual(), policies.emolab("margin"))}


def test_the_same_seed_writes_the_same_sentences_and_no_two_are_alike() -> None:
    first, again = (list(make_sentences(200, np.random.default_rng(3))) for _ in range(2))
    assert first == again
    assert len({each.data for each in first}) == len({each.name for each in first}) == 200
    assert len({each.person for each in first}) > 10


def test_they_are_kept_byte_by_byte_so_that_nobody_is_masked() -> None:
    for each in make_sentences(300, np.random.default_rng(0)):
        stored = store_form(each.data.decode())
        assert (stored.data, dict(stored.masked)) == (each.data, {})


def test_people_agree_about_most_and_not_about_all() -> None:
    found = list(make_sentences(400, np.random.default_rng(1)))
    most = np.array([max(each.answers.values()) for each in found])
    assert all(set(each.answers) == set(CLASSES) and abs(sum(each.answers.values()) - 1) < 1e-9 for each in found)
    assert 0.6 < (most > 0.9).mean() < 0.9
    assert {max(each.answers, key=lambda name: each.answers[name]) for each in found} == set(CLASSES)


def test_a_sample_of_a_text_file_is_known_by_the_file() -> None:
    assert file_of("d/files/writer0001/sentence00001.txt#1") == "sentence00001.txt"
    assert file_of("d/files/p/face1.png") == "face1.png"


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return drawn(tmp_path_factory.mktemp("sentences"), open_kind("text"), pool=400, judge=120, seed=1)


@pytest.mark.slow
def test_both_ways_are_replayed_without_a_network_and_learn(tmp_path: Path, sentences: DemoData) -> None:
    found = replay(tmp_path, WAYS, sentences, {}, rounds=2, budget=120, seeds=2, jobs=1)
    assert found.budgets == [120.0, 240.0, 360.0]
    assert (found.nouns, found.pool) == ("sentences", 400)
    assert found.samples[USUAL] == 120
    for name in (USUAL, EMOLAB, ASKING):
        assert found.curves[name].mean[-1] > found.curves[name].mean[0]
    assert not (tmp_path / "cache").exists()
