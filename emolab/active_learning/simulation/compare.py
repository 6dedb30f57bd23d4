"""Strategies compared in pairs: what is a difference and what is noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.simulation.curves import Curves, area, curves, plain_area, reach, thirds
from emolab.active_learning.simulation.records import SimulatedRound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: What everything is measured against.
CONTROL = "random"
#: Draws of the seeds behind an interval, and the share of them inside it.
DRAWS, INSIDE = 1000, 0.95


@dataclass(frozen=True)
class Ratio:
    """How many times fewer votes one needs than the other: 2 is half of them.

    ``value`` is ``None`` when the level is never reached; ``low`` and ``high`` bound 95 % of the bootstrap, ``low`` is
    0 and ``high`` ``None`` where more draws than that end in never, and for a single seed; ``never`` is the share of
    draws that do.
    """

    value: float | None
    low: float
    high: float | None
    never: float


@dataclass(frozen=True)
class Reached:
    """Votes until a level (``None``: never) and the 95 % interval of the bootstrap (``None``: beyond the budget)."""

    level: float
    votes: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class StrategyVerdict:
    """One strategy over all its seeds against ``random``.

    Areas are means over the logarithm of the votes, in the unit of the score (0..1), ``area_votes`` over the votes
    themselves; ``thirds`` are its low, middle and high part; ``gain`` is how far the area lies above random's,
    ``error`` its standard error over the seeds, ``p`` the paired Wilcoxon test, ``p_holm`` after Holm's correction over
    the strategies, ``effect`` the matched-pairs rank correlation (-1..1), ``wins`` the share of (seed, round) pairs
    that are better than random's (ties count half). ``ratio`` is at random's final accuracy; ``shares`` maps 0.90
    and 0.95 of the accuracy of the whole pool to the votes that reach it, empty where nobody labelled everything.
    ``composition`` (k,) are shares of the classes among all samples chosen after the first ones, ``doubt`` how much
    people disagree about them, ``select_s`` CPU seconds of choosing per campaign.
    """

    strategy: str
    seeds: int
    area: float
    area_votes: float
    area_f1: float
    thirds: tuple[float, float, float]
    final: float
    final_f1: float
    spread: float
    gain: float
    error: float
    gain_f1: float
    error_f1: float
    p: float
    p_holm: float
    p_f1: float
    p_f1_holm: float
    effect: float
    wins: float
    ratio: Ratio
    shares: Mapping[str, Reached]
    composition: list[float]
    doubt: float
    select_s: float


def verdicts(
    rounds: Sequence[SimulatedRound], budgets: Sequence[float], *, whole: Sequence[SimulatedRound] = (), seed: int = 0
) -> list[StrategyVerdict]:
    """The verdict on every strategy of ``rounds``, which have to include ``random``; ``whole`` labelled everything.

    Wilcoxon 1945; Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    right, macro = curves(rounds, budgets, "accuracy"), curves(rounds, budgets, "macro_f1")
    control, tests, tests_f1 = right[CONTROL], _tests(right), _tests(macro)
    ceiling = {played.seed: played.scores["accuracy"] for played in whole}
    found = []
    for name, mine in right.items():
        own = [played for played in rounds if played.strategy == name]
        chosen = [played for played in own if played.number]
        parts = [float(part.mean()) for part in thirds(mine.costs, mine.values)]
        found.append(
            StrategyVerdict(
                strategy=name,
                seeds=len(mine.seeds),
                area=float(_areas(mine).mean()),
                area_votes=float(plain_area(mine.costs, mine.values).mean()),
                area_f1=float(_areas(macro[name]).mean()),
                thirds=(parts[0], parts[1], parts[2]),
                final=float(mine.values[:, -1].mean()),
                final_f1=float(macro[name].values[:, -1].mean()),
                spread=_deviation(mine.values[:, -1]),
                gain=tests[name].gain,
                error=tests[name].error,
                gain_f1=tests_f1[name].gain,
                error_f1=tests_f1[name].error,
                p=tests[name].p,
                p_holm=tests[name].p_holm,
                p_f1=tests_f1[name].p,
                p_f1_holm=tests_f1[name].p_holm,
                effect=tests[name].effect,
                wins=_wins(mine.values, control.values),
                ratio=Ratio(1.0, 1.0, 1.0, 0.0) if name == CONTROL else ratio(mine, control, seed=seed),
                shares={
                    f"{share:.2f}": reached(mine, {s: share * top for s, top in ceiling.items()}, seed=seed)
                    for share in (0.9, 0.95)
                    if ceiling
                },
                composition=_class_shares(chosen),
                doubt=_weighted(chosen),
                select_s=sum(played.select_s for played in own) / len(mine.seeds),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _AreaTest:
    """A strategy's areas against random's, in pairs; ``p_holm`` is corrected for the number of strategies."""

    gain: float
    error: float
    p: float
    effect: float
    p_holm: float


def _tests(scores: Mapping[str, Curves]) -> dict[str, _AreaTest]:
    """The test of every strategy on the curves of one score; random itself is not corrected, its p is 1."""
    found = {name: compared(_areas(mine), _areas(scores[CONTROL])) for name, mine in scores.items()}
    others = [name for name in scores if name != CONTROL]
    corrected = dict(zip(others, holm([found[name][2] for name in others]), strict=True))
    return {name: _AreaTest(*test, p_holm=corrected.get(name, 1.0)) for name, test in found.items()}


def _class_shares(chosen: Sequence[SimulatedRound]) -> list[float]:
    """The shares of the classes (k,) among all samples of these rounds; [0] where there was none."""
    total = np.sum([played.composition for played in chosen], axis=0) if chosen else np.zeros(1)
    shares: list[float] = (total / max(float(total.sum()), 1e-12)).tolist()
    return shares


def compared(mine: Floats, other: Floats) -> tuple[float, float, float, float]:
    """Mean difference of the pairs ``mine`` - ``other`` (s,), its standard error, Wilcoxon's p, rank correlation.

    All pairs equal: p is 1 and the correlation 0. One pair: the error is infinite and p is 1.
    """
    from scipy.stats import rankdata, wilcoxon

    apart = mine - other
    if len(apart) < 2:
        return float(apart.mean()), float("inf"), 1.0, 0.0
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    moved = apart[apart != 0]
    if not len(moved):
        return 0.0, error, 1.0, 0.0
    ranks = rankdata(np.abs(moved))
    effect = float((ranks * np.sign(moved)).sum() / ranks.sum())
    return float(apart.mean()), error, float(wilcoxon(moved).pvalue), effect


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given; never below an uncorrected one, never above 1."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, highest = [1.0] * len(values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        found[i] = highest
    return found


def seeds_to_tell(others: int, level: float = 0.05) -> int:
    """The fewest seeds with which one of ``others`` strategies that wins every pair gets below ``level``, after Holm.

    >>> seeds_to_tell(1), seeds_to_tell(5)
    (6, 8)
    """
    seeds = 1
    while max(others, 1) * 2.0 ** (1 - seeds) >= level:
        seeds += 1
    return seeds


def ratio(mine: Curves, control: Curves, *, level: float | None = None, seed: int = 0) -> Ratio:
    """The votes ``control`` needs for its final value (or ``level``) by those ``mine`` needs, bootstrapped over seeds.

    Both are read off the mean curves in the same way, so that a curve as good as ``control`` has a ratio of 1 even
    where both stopped rising long before the end; a draw takes the same seeds for both, and its own final value. A
    single seed has no interval.
    """
    rng = np.random.default_rng(seed)

    def once(chosen: NDArray[np.int64]) -> float:
        theirs, ours = control.values[chosen].mean(axis=0), mine.values[chosen].mean(axis=0)
        goal = float(theirs[-1]) if level is None else level
        return float(reach(control.costs, theirs, goal) / reach(mine.costs, ours, goal))

    n = len(mine.seeds)
    value = once(np.arange(n))
    if n < 2:
        return Ratio(None if np.isnan(value) else value, 0.0, None, float(np.isnan(value)))
    draws = np.array([once(rng.integers(0, n, n)) for _ in range(DRAWS)])
    never = float(np.isnan(draws).mean())
    low, high = _inside(np.where(np.isnan(draws), 0.0, draws))
    return Ratio(None if np.isnan(value) else value, low, high if high > 0 else None, never)


def reached(mine: Curves, levels: Mapping[int, float], *, seed: int = 0) -> Reached:
    """Votes at which the mean curve reaches the mean of ``levels`` (by seed), bootstrapped over two seeds or more."""
    rng = np.random.default_rng(seed)
    goals = np.array([levels[s] for s in mine.seeds])

    def once(chosen: NDArray[np.int64]) -> float:
        return reach(mine.costs, mine.values[chosen].mean(axis=0), float(goals[chosen].mean()))

    n = len(mine.seeds)
    value = once(np.arange(n))
    if n < 2:
        return Reached(float(goals.mean()), None if np.isnan(value) else value, None, None)
    draws = np.array([once(rng.integers(0, n, n)) for _ in range(DRAWS)])
    low, high = _inside(np.where(np.isnan(draws), np.inf, draws))
    return Reached(float(goals.mean()), *(None if not np.isfinite(v) else float(v) for v in (value, low, high)))


def _inside(draws: Floats) -> tuple[float, float]:
    ordered = np.sort(draws)
    edge = (1 - INSIDE) / 2
    last = len(ordered) - 1
    return float(ordered[int(np.floor(edge * last))]), float(ordered[int(np.ceil((1 - edge) * last))])


def _areas(found: Curves) -> Floats:
    return area(found.costs, found.values)


def _deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _wins(mine: Floats, control: Floats) -> float:
    apart = mine[:, 1:] - control[:, 1:]
    return float(((apart > 0) + 0.5 * (apart == 0)).mean()) if apart.size else 0.5


def _weighted(chosen: Sequence[SimulatedRound]) -> float:
    """Mean doubt of the samples chosen in these rounds."""
    sizes = [len(played.rows) for played in chosen]
    return float(np.average([played.doubt for played in chosen], weights=sizes)) if sum(sizes) else 0.0
