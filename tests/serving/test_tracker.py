"""Boxes become tracks: pairing, births, ends, and two faces that cross."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolab.serving.live.assignment import NEVER, assign
from emolab.serving.live.tracker import Box, Tracker, TrackRules, overlap

costs = st.integers(0, 5).flatmap(
    lambda m: st.lists(
        st.lists(st.one_of(st.integers(0, 20).map(float), st.just(NEVER)), min_size=m, max_size=m), max_size=5
    )
)


def best(table: list[list[float]]) -> tuple[int, float]:
    """The most allowed pairs and their least cost, by trying everything."""
    n, m = len(table), len(table[0]) if table else 0
    found = (0, 0.0)
    for size in range(min(n, m), 0, -1):
        sums = [
            sum(table[r][c] for r, c in zip(rows, columns, strict=True))
            for rows in itertools.combinations(range(n), size)
            for columns in itertools.permutations(range(m), size)
        ]
        if min(sums) < math.inf:
            return size, min(sums)
    return found


@settings(max_examples=150, deadline=None)
@given(costs)
def test_the_assignment_is_the_best_of_all(table: list[list[float]]) -> None:
    pairs = assign(table)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert pairs == sorted(pairs)
    assert (len(pairs), sum(table[r][c] for r, c in pairs)) == best(table)


def test_a_face_counts_from_its_second_box_on_and_keeps_its_number() -> None:
    tracker = Tracker()
    assert tracker.update(0.0, [(10, 10, 40, 50)]) == []
    for i in range(1, 20):
        (track,) = tracker.update(i / 10, [(10 + i, 10, 40, 50)])
        assert (track.id, track.source, track.box) == (1, 0, (10 + i, 10, 40, 50))


def test_a_box_that_is_there_once_is_nobody() -> None:
    tracker = Tracker()
    for i in range(10):
        assert tracker.update(i / 10, [(200, 10, 40, 50)] if i % 2 else []) == []
    assert tracker.alive == frozenset()


def test_a_face_that_is_missed_for_a_moment_comes_back_with_its_number() -> None:
    tracker = Tracker()
    boxes: list[list[Box]] = [[(10, 10, 40, 50)]] * 3 + [[]] * 3 + [[(12, 10, 40, 50)]]
    shown = [[track.id for track in tracker.update(i / 10, there)] for i, there in enumerate(boxes)]
    assert shown == [[], [1], [1], [], [], [], [1]]


def test_a_face_that_is_gone_for_long_is_somebody_new() -> None:
    tracker = Tracker()
    boxes: list[list[Box]] = [[(10, 10, 40, 50)]] * 3 + [[]] * 18 + [[(10, 10, 40, 50)]] * 2
    shown = [[track.id for track in tracker.update(i / 10, there)] for i, there in enumerate(boxes)]
    assert shown[-1] == [2]


@pytest.mark.parametrize("rate", [5, 10, 30])
@pytest.mark.parametrize("hidden", [0, 1])
def test_two_faces_that_cross_keep_their_numbers(rate: int, hidden: int) -> None:
    """While one is behind the other, only one of them is found."""
    tracker = Tracker()
    ids: list[dict[int, int]] = []
    for i in range(4 * rate + 1):
        at = i / rate
        there = [(100 + 100 * at, 100.0, 80.0, 100.0), (500 - 100 * at, 110.0, 80.0, 100.0)]
        shared = overlap(there[0], there[1]) > 0.3
        boxes = [there[1 - hidden]] if shared else there
        ids.append({(1 - hidden if shared else track.source or 0): track.id for track in tracker.update(at, boxes)})
    assert ids[1] == ids[-1] == {0: 1, 1: 2}
    assert all(each[1 - hidden] == ids[1][1 - hidden] for each in ids[1:])


def test_a_face_of_another_size_or_far_away_is_another_one() -> None:
    tracker = Tracker()
    for i in range(3):
        tracker.update(i / 10, [(100, 100, 40, 50)])
    assert tracker.update(0.3, [(100, 100, 120, 150), (400, 100, 40, 50)]) == []
    assert [track.id for track in tracker.update(0.4, [(100, 100, 120, 150), (400, 100, 40, 50)])] == [2, 3]


def test_between_two_looks_a_box_goes_on_with_its_speed() -> None:
    tracker = Tracker()
    for i in range(10):
        tracker.update(i / 10, [(100 + 10 * i, 100, 40, 50)])
    (track,) = tracker.at(0.95)
    assert track.box == pytest.approx((195, 100, 40, 50))
    assert tracker.update(1.0, [(200, 100, 40, 50)])[0].id == track.id


def test_after_a_cut_numbers_are_not_given_again() -> None:
    tracker = Tracker()
    for i in range(3):
        tracker.update(i / 10, [(100, 100, 40, 50)])
    tracker.clear()
    assert tracker.at(0.3) == []
    tracker.update(0.3, [(100, 100, 40, 50)])
    assert [track.id for track in tracker.update(0.4, [(100, 100, 40, 50)])] == [2]


boxes = st.tuples(*(st.floats(-50, 700) for _ in range(2)), *(st.floats(1, 300) for _ in range(2)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(boxes, max_size=6), max_size=12), st.floats(0.01, 1.0))
def test_whatever_comes_each_box_has_at_most_one_track_and_numbers_are_never_shared(
    looks: list[list[Box]], step: float
) -> None:
    tracker = Tracker(TrackRules(hits=1))
    ended: set[int] = set()
    for i, there in enumerate(looks):
        before = tracker.alive
        tracks = tracker.update(i * step, there)
        assert sorted(track.source for track in tracks if track.source is not None) == list(range(len(there)))
        assert all(track.box == there[track.source] for track in tracks if track.source is not None)
        assert len({track.id for track in tracks}) == len(tracks)
        ended |= before - tracker.alive
        assert not ended & tracker.alive


def test_memory_does_not_grow_with_the_people_who_passed_by() -> None:
    tracker = Tracker()
    for i in range(2000):
        tracker.update(i / 10, [(i % 7 * 90.0, 100 + i % 3 * 150.0, 40, 50)])
    assert len(tracker._tracks) < 30
