"""The two policies replayed on drawn faces: fair to both, the same again for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.config import Config
from emolab.demonstration import policies
from emolab.demonstration.annotators import TEAM, answer
from emolab.demonstration.data import DemoData, drawn
from emolab.demonstration.kinds.demo_kind import open_kind
from emolab.demonstration.policies import EMOLAB, USUAL, plan_budgets
from emolab.demonstration.replay import ASKING, Replay, replay, team_crowd
from emolab.errors import DataError

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

WAYS = {policy.name: policy for policy in (policies.usual(), policies.emolab("margin"))}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return drawn(tmp_path_factory.mktemp("faces"), open_kind("image"), pool=150, judge=60, seed=1)


def played(folder: Path, faces: DemoData) -> Replay:
    return replay(folder, WAYS, faces, {}, rounds=2, budget=60, seeds=2, jobs=1)


def test_both_ways_spend_the_same_votes_on_the_same_faces(tmp_path: Path, faces: DemoData) -> None:
    pytest.importorskip("torch")
    found = played(tmp_path / "a", faces)
    assert found.budgets == [60.0, 120.0]
    assert found.samples[USUAL] == 40  # three votes each
    assert 40 < found.samples[EMOLAB] <= 120
    assert (found.pool, found.judge, found.seeds) == (150, len(faces.judge), 2)
    for curve in found.curves.values():
        assert curve.values.shape == (2, 2)
    again = played(tmp_path / "b", faces)
    for name in (USUAL, EMOLAB, ASKING):
        np.testing.assert_array_equal(found.curves[name].values, again.curves[name].values)
    assert found.savings == again.savings


def test_a_near_copy_is_never_asked_about(tmp_path: Path, faces: DemoData) -> None:
    pytest.importorskip("torch")
    names = sorted(faces.crowd)
    twins = dict.fromkeys(names[1:60], names[0])
    found = replay(tmp_path, WAYS, faces, twins, rounds=1, budget=60, seeds=1, jobs=1)
    assert found.budgets == [60.0]  # of 150 faces 91 are left to ask about
    with pytest.raises(DataError, match="The pool has 31 faces, and 1 round of 60 votes"):
        replay(tmp_path, WAYS, faces, dict.fromkeys(names[1:120], names[0]), rounds=1, budget=60, seeds=1, jobs=1)


def test_the_replay_has_as_many_votes_as_faces() -> None:
    assert plan_budgets(1130, rounds=3, budget=180) == [180, 360, 540, 720, 900, 1080]
    assert plan_budgets(180, rounds=1, budget=180) == [180]
    with pytest.raises(DataError, match="--pool 720"):
        plan_budgets(300, rounds=2, budget=180)


def test_emolabs_way_is_what_its_settings_are_without_a_change() -> None:
    ours, default = policies.emolab(), Config()
    assert (ours.strategy, ours.aggregator) == (default.suggest.strategy, default.labeling.aggregator)
    assert ours.votes == "1..3"
    theirs = policies.usual()
    assert (theirs.strategy, theirs.votes, theirs.aggregator) == ("random", "3", "majority")


def test_everybody_of_the_team_says_the_same_in_the_replay_and_to_label_studio(faces: DemoData) -> None:
    pool = team_crowd(faces)
    assert pool.said is not None
    for row in range(0, 150, 10):
        crowd = faces.crowd[pool.names[row]]
        for person, said in zip(TEAM, pool.said[row].tolist(), strict=True):
            label = answer(person, pool.ids[row], crowd).label
            assert said == (-2 if label is None else faces.classes.index(label) if label in faces.classes else -1)
