"""The ten votes of FER+ faces dealt one after the other, and budgets that are spent to the last vote."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.dealing import deal, labels
from benchmarks.ferplus import Faces
from benchmarks.votes_agreement import score, until_two_agree
from benchmarks.votes_budget import halves, spend, told
from emolab.stats.lbfgs import Floats

HAPPY, UNKNOWN = 1, 8


def crowd(n: int) -> np.ndarray:
    """Ten votes on each of ``n`` faces: all for happiness on even ones, split between sadness and anger on odd ones."""
    votes = np.zeros((n, 10), dtype=np.int64)
    votes[::2, HAPPY] = 10
    votes[1::2, 3] = votes[1::2, 4] = 5
    return votes


def drawn(n: int) -> Floats:
    return np.random.default_rng(1).normal(size=(n, 4))


def faces(votes: np.ndarray, majority: list[int]) -> Faces:
    n = len(votes)
    return Faces(votes, np.array(majority), np.zeros((n, 2), np.float16), None, [b"%d" % row for row in range(n)])


def test_a_deal_holds_every_vote_once_and_every_nickname_once() -> None:
    votes = crowd(6)
    dealt = deal(votes, np.random.default_rng(0))
    assert [np.bincount(row, minlength=10).tolist() for row in dealt.said] == votes.tolist()
    assert np.sort(dealt.who, axis=1).tolist() == [list(range(10))] * 6


def test_a_face_that_most_call_unlabelable_has_no_label() -> None:
    votes = np.zeros((2, 10), dtype=np.int64)
    votes[0, UNKNOWN], votes[1, HAPPY] = 10, 10
    _, has = labels(deal(votes, np.random.default_rng(0)), np.full(2, 3))
    assert has.tolist() == [False, True]


def test_the_rule_of_thumb_stops_when_two_agree() -> None:
    given = until_two_agree(deal(crowd(40), np.random.default_rng(0)))
    assert set(given[::2].tolist()) == {2}
    assert set(given[1::2].tolist()) == {2, 3}


def test_a_label_is_right_where_it_is_the_official_majority_and_others_do_not_count() -> None:
    votes = np.zeros((3, 10), dtype=np.int64)
    votes[:, HAPPY] = 10
    dealt = deal(votes, np.random.default_rng(0))
    given = np.array([1, 2, 6])
    assert score(faces(votes, [HAPPY, 0, -1]), dealt, given) == (0.5, 1.5, 3.0)


@pytest.mark.parametrize("way", ["1", "3", "1..3", "1..5", "1..5, head in the loop"])
def test_a_budget_is_spent_but_for_what_the_last_face_would_take(way: str) -> None:
    given = spend(deal(crowd(300), np.random.default_rng(0)), drawn(300), way, 200)
    assert given is not None
    assert 200 - 4 <= given.sum() <= 200


@pytest.mark.parametrize("way", ["1", "1..3"])
def test_too_few_faces_for_a_budget_are_no_figure(way: str) -> None:
    assert spend(deal(crowd(40), np.random.default_rng(0)), drawn(40), way, 400) is None


def test_held_back_faces_are_not_learned_from() -> None:
    pool, judge = halves(faces(crowd(30), [0] * 30), 10)
    assert (len(pool.votes), len(judge.votes)) == (20, 10)
    assert sorted(pool.media + judge.media) == sorted(b"%d" % row for row in range(30))


def test_ways_are_compared_seed_by_seed() -> None:
    by_way = {
        "1": {0: (0.50, 0.3, 10.0, 10.0), 1: (0.60, 0.3, 10.0, 10.0)},
        "1..5": {0: (0.40, 0.3, 5.0, 10.0), 1: (0.52, 0.3, 5.0, 10.0)},
    }
    accuracy, macro, *_ = told("10 votes", by_way, 7)
    assert (accuracy.name, accuracy.value, accuracy.n) == ("10 votes, 1 per face: accuracy", 0.55, 7)
    assert accuracy.note == "10 faces, 10 votes; +9.00 ± 1.00 points against 1..5"
    assert macro.note.endswith("+0.00 ± 0.00 points against 1..5")
