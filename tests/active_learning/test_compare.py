"""Learning curves in numbers, and strategies compared in pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from emolab.active_learning.simulation.compare import compared, holm, ratio, reached, verdicts
from emolab.active_learning.simulation.curves import Curves, area, curves, plain_area, reach, thirds
from emolab.active_learning.simulation.records import SimulatedRound
from emolab.errors import DataError

COSTS = np.array([100.0, 200.0, 400.0, 800.0])


def lines(strategy: str, values: list[list[float]]) -> Curves:
    return Curves(strategy, tuple(range(len(values))), COSTS, np.array(values))


def rounds(strategy: str, values: list[list[float]], *, doubt: float = 0.2) -> list[SimulatedRound]:
    return [
        SimulatedRound(
            strategy=strategy, seed=seed, number=number, rows=[number] * 10, answers=[1] * 10,
            cost=float(COSTS[number]), votes=int(COSTS[number]), samples=int(COSTS[number]),
            scores={"accuracy": value, "macro_f1": value / 2},
            composition=[6.0, 4.0], doubt=doubt, select_s=0.5, train_s=0.1,
        )
        for seed, row in enumerate(values)
        for number, value in enumerate(row)
    ]  # fmt: skip


# -- curves --------------------------------------------------------------------------------------------------------


def test_the_area_counts_every_doubling_alike_and_the_plain_one_every_vote() -> None:
    flat, late = [[0.5] * 4], [[0.0, 0.0, 0.0, 1.0]]
    assert area(COSTS, np.array(flat)).tolist() == plain_area(COSTS, np.array(flat)).tolist() == [0.5]
    assert area(COSTS, np.array(late)).tolist() == pytest.approx([1 / 6])
    assert plain_area(COSTS, np.array(late)).tolist() == pytest.approx([200 / 700])


def test_thirds_make_up_the_area() -> None:
    values = np.array([[0.1, 0.4, 0.5, 0.9], [0.2, 0.2, 0.6, 0.7]])
    parts = thirds(COSTS, values)
    assert [part.tolist() for part in parts] == [pytest.approx(x) for x in ([0.25, 0.2], [0.45, 0.4], [0.7, 0.65])]
    assert np.mean(parts, axis=0).tolist() == pytest.approx(area(COSTS, values).tolist())


def test_a_level_is_reached_between_rounds_on_the_logarithm() -> None:
    curve = np.array([0.2, 0.4, 0.6, 0.8])
    assert reach(COSTS, curve, 0.5) == pytest.approx(200 * 2**0.5)
    assert reach(COSTS, curve, 0.1) == 100.0
    assert reach(COSTS, curve, 0.8) == pytest.approx(800.0)
    assert np.isnan(reach(COSTS, curve, 0.81))


def test_a_single_peak_of_noise_reaches_nothing_too_early() -> None:
    curve = np.array([0.2, 0.7, 0.5, 0.8])
    assert reach(COSTS, curve, 0.65) > 400


def test_costs_that_differ_are_read_off_at_the_budgets() -> None:
    played = rounds("random", [[0.2, 0.4, 0.6, 0.8]])
    played[1] = SimulatedRound(**{**vars(played[1]), "cost": 100 * 2**0.5})
    found = curves(played, COSTS.tolist(), "accuracy")["random"]
    assert found.values.tolist() == [pytest.approx([0.2, 0.4 + 0.2 / 3, 0.6, 0.8])]


def test_strategies_with_different_seeds_are_no_pairs() -> None:
    with pytest.raises(DataError, match="not played from the same seeds"):
        curves(rounds("random", [[0.1] * 4]) + rounds("margin", [[0.1] * 4] * 2), COSTS.tolist(), "accuracy")


# -- tests of differences --------------------------------------------------------------------------------------------


def test_the_paired_test_is_scipys_wilcoxon_with_the_rank_correlation_as_effect() -> None:
    rng = np.random.default_rng(0)
    mine, other = rng.normal(0.3, 1, 25), rng.normal(0, 1, 25)
    gain, error, p, effect = compared(mine, other)
    apart = mine - other
    assert (gain, error) == (pytest.approx(apart.mean()), pytest.approx(stats.sem(apart)))
    assert p == pytest.approx(stats.wilcoxon(mine, other).pvalue)
    ranks = stats.rankdata(np.abs(apart))
    assert effect == pytest.approx((ranks[apart > 0].sum() - ranks[apart < 0].sum()) / ranks.sum())
    assert compared(mine, mine)[2:] == (1.0, 0.0)
    assert compared(mine[:1], other[:1])[1:] == (float("inf"), 1.0, 0.0)


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.001]) == [0.001]
    assert holm([]) == []


def test_holm_never_lets_a_larger_p_fall_below_a_smaller_one() -> None:
    assert holm([0.0125, 0.02, 0.03, 0.001]) == pytest.approx([0.0375, 0.04, 0.04, 0.004])


def test_half_the_votes_is_a_ratio_of_two() -> None:
    slow = [[0.2, 0.4, 0.6, 0.8]] * 5
    fast = [[0.4, 0.6, 0.8, 0.9]] * 5
    found = ratio(lines("margin", fast), lines("random", slow))
    assert (found.value, found.low, found.high) == (pytest.approx(2.0), pytest.approx(2.0), pytest.approx(2.0))
    assert found.never == 0.0
    assert ratio(lines("margin", fast), lines("random", slow), level=0.6).value == pytest.approx(2.0)


def test_a_curve_that_stopped_rising_saves_nothing_against_itself() -> None:
    level = lines("random", [[0.5, 0.6, 0.6, 0.6], [0.5, 0.6, 0.61, 0.59]])
    found = ratio(level, level)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_level_that_is_not_reached_is_never_and_not_a_large_number() -> None:
    slow = [[0.2, 0.4, 0.6, 0.8]] * 5
    worse = [[0.2, 0.3, 0.4, 0.5]] * 5
    found = ratio(lines("entropy", worse), lines("random", slow))
    assert (found.value, found.low, found.high, found.never) == (None, 0.0, None, 1.0)
    said = reached(lines("entropy", worse), dict.fromkeys(range(5), 0.9))
    assert (said.votes, said.low, said.high) == (None, None, None)


def test_an_interval_covers_draws_that_end_in_never() -> None:
    rng = np.random.default_rng(1)
    slow = np.array([[0.2, 0.4, 0.6, 0.8]] * 12) + rng.normal(0, 0.05, (12, 4))
    near = np.array([[0.2, 0.4, 0.6, 0.81]] * 12) + rng.normal(0, 0.05, (12, 4))
    found = ratio(lines("near", near.tolist()), lines("random", slow.tolist()))
    assert 0.025 < found.never < 0.975
    assert found.low == 0.0
    assert found.high is not None
    assert found.high >= 1.0


def test_a_verdict_says_what_was_gained_and_what_was_asked() -> None:
    rng = np.random.default_rng(2)
    base = np.array([0.3, 0.4, 0.5, 0.6]) + rng.normal(0, 0.01, (20, 4))
    better, same = base + np.linspace(0.045, 0.055, 20)[:, None], base + rng.normal(0, 0.001, (20, 4))
    played = (
        rounds("random", base.tolist(), doubt=0.1)
        + rounds("margin", better.tolist(), doubt=0.4)
        + rounds("same", same.tolist())
    )
    whole = [
        SimulatedRound(**{**vars(one), "strategy": "everything", "scores": {"accuracy": 0.7}}) for one in played[:80:4]
    ]
    found = {one.strategy: one for one in verdicts(played, COSTS.tolist(), whole=whole)}
    margin, control = found["margin"], found["random"]
    assert margin.gain == pytest.approx(0.05)
    assert margin.gain_f1 == pytest.approx(0.025)
    assert margin.p == pytest.approx(2 * 0.5**20), "20 of 20 pairs are better"
    assert margin.p_holm == pytest.approx(2 * margin.p)
    assert found["same"].p_holm > 0.05
    assert (margin.wins, control.wins, margin.effect) == (1.0, 0.5, 1.0)
    assert margin.ratio.value == pytest.approx(2**0.5, rel=0.05)
    assert (control.ratio.value, control.p_holm) == (1.0, 1.0)
    assert margin.shares["0.90"].level == pytest.approx(0.63)
    assert control.shares["0.95"].votes is None
    assert margin.shares["0.90"].votes == pytest.approx(800 * 2**-0.2, rel=0.05)
    assert (margin.composition, margin.doubt, control.doubt) == ([0.6, 0.4], pytest.approx(0.4), pytest.approx(0.1))
    assert margin.select_s == pytest.approx(2.0)
    assert margin.seeds == 20
