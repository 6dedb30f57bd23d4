"""Successive halving promotes the best third, spends little on the rest, and ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emolab.stats.halving import Move, best, next_move
from emolab.stats.search_space import Between, OneOf, drawn


def played(losses_of: dict[int, list[float]], *, drawn: int) -> list[Move]:
    """All moves of a search in which trial i has the losses ``losses_of[i]`` on its rungs."""
    known: dict[int, list[float]] = {}
    moves = []
    while (move := next_move(known, rungs=3, drawn=drawn)) is not None:
        assert len(known.get(move.trial, [])) == move.rung
        known.setdefault(move.trial, []).append(losses_of[move.trial][move.rung])
        moves.append(move)
    return moves


def test_nine_trials_cost_nine_three_and_one_trainings_and_the_best_gets_to_the_top() -> None:
    rng = np.random.default_rng(0)
    quality = rng.permutation(9) / 10
    moves = played({i: [quality[i]] * 3 for i in range(9)}, drawn=9)
    by_rung = [sum(move.rung == rung for move in moves) for rung in range(3)]
    assert by_rung[0] == 9
    assert 3 <= by_rung[1] <= 5  # one that is promoted early may be overtaken
    assert 1 <= by_rung[2] <= 2
    assert Move(int(quality.argmin()), 2) in moves


def test_a_trial_that_failed_is_never_promoted() -> None:
    moves = played({0: [0.5] * 3, 1: [math.inf] * 3, 2: [0.4] * 3}, drawn=3)
    assert [move for move in moves if move.trial == 1] == [Move(1, 0)]
    assert moves[-1] == Move(2, 2)


def test_closing_draws_nothing_and_brings_the_best_up() -> None:
    known = {0: [0.5, 0.5, 0.5], 1: [0.2]}
    assert next_move(known, rungs=3, drawn=100) == Move(2, 0)
    assert next_move(known, rungs=3, drawn=100, closing=True) == Move(1, 1)
    known[1] += [0.2, 0.2]
    assert next_move(known, rungs=3, drawn=100, closing=True) is None
    assert best(known, rungs=3) == 1
    assert best({0: [0.5]}, rungs=3) is None


def test_combinations_differ_and_the_first_do_not_depend_on_how_many_there_are() -> None:
    space = {"lr": Between(1e-4, 1e-2, log=True), "mode": OneOf(("full", "head"))}
    many = drawn(space, 40, seed=3)
    assert many[:10] == drawn(space, 10, seed=3)
    assert many != drawn(space, 40, seed=4)
    assert all(1e-4 <= one["lr"] <= 1e-2 for one in many)
    assert len({str(one) for one in many}) == 40


@pytest.mark.parametrize(("n", "found"), [(2, 2), (50, 6)])
def test_a_space_of_six_gives_no_seventh(n: int, found: int) -> None:
    assert len(drawn({"a": OneOf((1, 2, 3)), "b": OneOf((1, 2))}, n, seed=0)) == found


def test_what_does_not_count_beside_a_value_is_left_out() -> None:
    space = {"mode": OneOf(("head", "full")), "lr": Between(0.1, 1.0), "size": OneOf((8, 16))}
    found = drawn(space, 30, seed=0, alone={"mode": ("head", ("size",))})
    heads = [one for one in found if one["mode"] == "head"]
    assert sorted(one["size"] for one in heads) == [8, 16]
    assert all(one.keys() == {"mode", "size"} for one in heads)
    assert all(one.keys() == space.keys() for one in found if one["mode"] == "full")
