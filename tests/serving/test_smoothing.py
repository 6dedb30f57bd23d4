"""Probabilities over time, and the queue of one."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolab.serving.live.latest import Latest
from emolab.serving.live.smoothing import Smoother

HAPPY, SAD = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


@pytest.mark.parametrize("rate", [3, 10, 30, 60])
def test_a_change_is_shown_after_the_same_time_at_any_frame_rate(rate: int) -> None:
    smoother = Smoother(1.0)
    smoother.update(1, 0.0, HAPPY)
    for i in range(1, rate + 1):
        shown = smoother.update(1, i / rate, SAD)
    assert shown == pytest.approx([np.exp(-1), 1 - np.exp(-1)], abs=1e-5)


rows = st.lists(st.floats(0.001, 1), min_size=4, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), rows), min_size=1, max_size=20), st.floats(0, 3))
def test_averages_are_probabilities_between_those_that_came(steps: list[tuple[float, list[float]]], tau: float) -> None:
    smoother, at, came = Smoother(tau), 0.0, []
    for passed, row in steps:
        at += passed
        came.append(np.array(row) / sum(row))
        shown = smoother.update(7, at, came[-1].astype(np.float32))
        assert shown.sum() == pytest.approx(1, abs=1e-5)
        assert (shown >= np.min(came, axis=0) - 1e-6).all()
        assert (shown <= np.max(came, axis=0) + 1e-6).all()
        if tau == 0:
            assert shown == pytest.approx(came[-1], abs=1e-6)


def test_tracks_do_not_mix_and_those_that_ended_are_forgotten() -> None:
    smoother = Smoother(1.0)
    smoother.update(1, 0.0, HAPPY)
    smoother.update(2, 0.0, SAD)
    assert smoother.now(1) is not None and smoother.now(2) is not None and smoother.now(3) is None
    assert smoother.now(1)[0] == 1  # type: ignore[index]
    smoother.keep([2])
    assert (len(smoother), smoother.now(1)) == (1, None)


def test_an_answer_for_a_time_that_has_passed_changes_nothing() -> None:
    smoother = Smoother(1.0)
    smoother.update(1, 1.0, HAPPY)
    assert smoother.update(1, 0.5, SAD) == pytest.approx(HAPPY)


def test_the_newest_wins_and_the_others_are_counted() -> None:
    queue: Latest[int] = Latest()
    assert [queue.put(i) for i in range(5)] == [0, 1, 2, 3, 4]
    assert (queue.get(), queue.get(timeout=0.0), queue.dropped) == (4, None, 4)
    queue.put(5)
    queue.close()
    assert queue.put(6) == 5
    assert (queue.get(), queue.get(), queue.closed) == (5, None, True)


def test_nothing_is_lost_uncounted_between_threads() -> None:
    queue: Latest[int] = Latest()
    taken: list[int] = []

    def take() -> None:
        while (thing := queue.get()) is not None:
            taken.append(thing)

    taker = threading.Thread(target=take)
    taker.start()
    for i in range(3000):
        queue.put(i)
    queue.close()
    taker.join(10)
    assert taken == sorted(set(taken))
    assert len(taken) + queue.dropped == 3000
    assert taken[-1] == 2999
