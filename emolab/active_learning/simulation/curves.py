"""Learning curves in numbers: the area below them, and when they reach a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.simulation.records import SimulatedRound
from emolab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """One measure of one strategy: ``values`` (s, r) of s seeds at the common ``costs`` (r,)."""

    strategy: str
    seeds: tuple[int, ...]
    costs: Floats
    values: Floats

    @property
    def mean(self) -> Floats:
        """The curve (r,) averaged over the seeds."""
        return np.asarray(self.values.mean(axis=0))


def curves(rounds: Sequence[SimulatedRound], budgets: Sequence[float], score: str) -> dict[str, Curves]:
    """The curves of ``score`` by strategy, read off at ``budgets``.

    What was spent differs a little between campaigns where samples get different numbers of votes; values at the
    budgets lie on straight lines over the logarithm of what was spent. Raises :class:`DataError` when the campaigns
    of the strategies do not share their seeds.
    """
    grid = np.array(budgets, dtype=np.float64)
    found: dict[str, dict[int, list[SimulatedRound]]] = {}
    for played in rounds:
        found.setdefault(played.strategy, {}).setdefault(played.seed, []).append(played)
    seeds = {strategy: tuple(sorted(campaigns)) for strategy, campaigns in found.items()}
    if len(set(seeds.values())) > 1:
        raise DataError("The strategies were not played from the same seeds, so they cannot be compared in pairs.")
    return {
        strategy: Curves(
            strategy,
            seeds[strategy],
            grid,
            np.stack([_at(campaigns[seed], grid, score) for seed in seeds[strategy]]),
        )
        for strategy, campaigns in found.items()
    }


def _at(rounds: Sequence[SimulatedRound], grid: Floats, score: str) -> Floats:
    spent = np.log([played.cost for played in rounds])
    return np.interp(np.log(grid), spent, [played.scores[score] for played in rounds])


def area(costs: Floats, values: Floats) -> Floats:
    """Mean height (s,) of curves ``values`` (s, r) over the logarithm of ``costs`` (r,): each doubling counts alike."""
    return _mean_height(np.log(costs), values)


def plain_area(costs: Floats, values: Floats) -> Floats:
    """Mean height (s,) over ``costs`` themselves: every vote counts alike, so the end counts most."""
    return _mean_height(costs, values)


def thirds(costs: Floats, values: Floats) -> list[Floats]:
    """:func:`area` of the low, the middle and the high third of the range of ``costs``, by its logarithm."""
    x = np.log(costs)
    edges = np.linspace(x[0], x[-1], 4)
    parts = []
    for low, high in pairwise(edges.tolist()):
        inner = x[(x > low + 1e-9) & (x < high - 1e-9)]
        at = np.concatenate([[low], inner, [high]])
        parts.append(_mean_height(at, np.stack([np.interp(at, x, row) for row in values])))
    return parts


def reach(costs: Floats, curve: Floats, level: float) -> float:
    """The cost at which ``curve`` (r,) first has the value ``level``; NaN: never within ``costs``.

    The curve is made to rise first (isotonic regression), so that noise at the top reaches nothing too early; between
    rounds it is straight over the logarithm of the cost. A curve that begins at the level gives the first cost.
    """
    from scipy.optimize import isotonic_regression

    rising = np.asarray(isotonic_regression(curve).x)
    above = np.flatnonzero(rising >= level - 1e-12)
    if not len(above):
        return float("nan")
    i = int(above[0])
    if i == 0:
        return float(costs[0])
    share = (level - rising[i - 1]) / (rising[i] - rising[i - 1])
    return float(np.exp(np.log(costs[i - 1]) + share * np.log(costs[i] / costs[i - 1])))


def _mean_height(x: Floats, values: Floats) -> Floats:
    if len(x) < 2:
        return values[:, 0]
    return np.asarray(np.trapezoid(values, x, axis=1) / (x[-1] - x[0]))
