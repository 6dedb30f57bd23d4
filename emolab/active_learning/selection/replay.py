"""Strategies tried out on labels that are there already: a small campaign, replayed with the same embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
from emolab.active_learning.simulation.frozen_trainer import principal
from emolab.stats import logistic, metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Labelled samples a replay uses at most, and how many it needs at least.
MOST, FEWEST = 1_500, 90
#: Replays, each with its own division and start; rounds of each; and the share of the samples that judges.
REPLAYS, ROUNDS, JUDGE = 5, 4, 1 / 3
#: Samples that have to be left to ask about, whoever judges.
LEFT = 30
#: Features a replay looks at: the first principal components, which is where the classes are.
WIDTH = 96
#: What the strategies are measured against.
CONTROL = "random"


@dataclass(frozen=True)
class RoundReplay:
    """What came out: ``strategies`` (s names), ``areas`` (s, r): area under the macro-F1 curve in every replay, 0..1.

    ``n`` samples took part, of which every replay labelled up to ``labelled`` in its rounds.
    """

    strategies: tuple[str, ...]
    areas: NDArray[np.float64]
    n: int
    labelled: int

    def gains(self) -> NDArray[np.float64]:
        """How far each strategy (s,) was above random on average, pairwise, in points of macro-F1."""
        return np.asarray(100 * (self.areas - self._control()).mean(axis=1))

    def errors(self) -> NDArray[np.float64]:
        """Standard errors (s,) of the gains, in points."""
        apart = 100 * (self.areas - self._control())
        return np.asarray(apart.std(axis=1, ddof=1) / np.sqrt(apart.shape[1]))

    def _control(self) -> NDArray[np.float64]:
        return np.asarray(self.areas[self.strategies.index(CONTROL)])


def replay(
    embeddings: NDArray[np.floating[Any]],
    targets: NDArray[np.floating[Any]],
    units: NDArray[np.integer[Any]],
    strategies: Sequence[str],
    rng: np.random.Generator,
) -> RoundReplay:
    """Small campaigns over labelled samples: ``embeddings`` (m, d), ``targets`` (m, k), rows in a fixed order.

    ``units`` (m,) are numbers of duplicate groups or subjects, which never fall on both sides of a division. In each of
    the replays a third of the units judges; from the same random start every strategy labels the rest in four rounds
    up to half of it, and after each round the linear head is solved and its macro-F1 taken. The penalty of the head
    is chosen once, on all samples, for everybody. ``strategies`` have to include ``random``, and :func:`left_to_ask`
    has to leave ``LEFT``. Pairing follows the protocol of Lüth et al. 2023, "Navigating the pitfalls of active learning
    evaluation".
    """
    chosen = np.sort(rng.permutation(len(embeddings))[:MOST])
    here = np.asarray(embeddings[chosen], dtype=np.float64)
    features = principal(here, here[:0], WIDTH)[0]
    soft, unit = np.asarray(targets[chosen], dtype=np.float64), np.unique(units[chosen], return_inverse=True)[1]
    truth = soft.argmax(axis=1)
    penalty = logistic.solve(features, soft, seed=0)[0].penalty
    areas = np.zeros((len(strategies), REPLAYS))
    labelled = 0
    for number in range(REPLAYS):
        order = rng.permutation(int(unit.max()) + 1)
        judge = np.isin(unit, order[: _judging(len(order))])
        pool = np.flatnonzero(~judge)
        first = min(max(2 * soft.shape[1], len(pool) // 20), len(pool) // 2)
        start = rng.permutation(len(pool))[:first]
        batch = max(1, (len(pool) // 2 - len(start)) // ROUNDS)
        labelled = len(start) + ROUNDS * batch
        seed = int(rng.integers(2**62))
        for position, name in enumerate(strategies):
            taken = np.zeros(len(pool), dtype=bool)
            taken[start] = True
            scores = []
            for turn in range(ROUNDS + 1):
                solved = _fit(features[pool[taken]], soft[pool[taken]], penalty)
                guess = solved.logits(features[judge]).argmax(axis=1)
                scores.append(metrics.macro_f1(truth[judge], guess, soft.shape[1]))
                if turn == ROUNDS:
                    break
                told = np.where(taken[:, None], soft[pool], np.nan)
                seen = Pool(
                    samples=[f"{row:09d}" for row in range(len(pool))],
                    labelled=taken,
                    pending=np.zeros(len(pool), dtype=bool),
                    probs=solved.probabilities(features[pool]),
                    embeddings=features[pool],
                    targets=told,
                )
                picks = select(seen, batch, strategy=name, rng=np.random.default_rng([seed, turn]))
                taken[picks.rows] = True
            areas[position, number] = float(np.mean(scores[1:]))
    return RoundReplay(tuple(strategies), areas, len(chosen), labelled)


def left_to_ask(units: NDArray[np.integer[Any]]) -> int:
    """How many of the samples with these numbers (m,) are left to ask about when the largest units judge.

    >>> left_to_ask(np.array([0, 0, 0, 1, 2])), left_to_ask(np.array([7, 7, 7]))
    (2, 0)
    """
    sizes = np.sort(np.unique(units, return_counts=True)[1])
    return int(sizes[: len(sizes) - _judging(len(sizes))].sum())


def _judging(count: int) -> int:
    """How many of ``count`` units judge."""
    return max(1, round(JUDGE * count))


def neighbour_purity(embeddings: NDArray[np.floating[Any]], hard: NDArray[np.integer[Any]], k: int = 5) -> float:
    """How often the ``k`` nearest others share a sample's class, from 0 (as by chance) to 1 (always).

    ``embeddings`` (m, d), ``hard`` (m,) class numbers; similarity is the cosine. Below 0 worse than chance; 0 for fewer
    than two samples or a single class. Cold starts by clusters only help where this is high: where clusters are
    no classes, typical samples of clusters are nothing special.
    """
    m = len(hard)
    shares = np.bincount(hard, minlength=1) / max(m, 1)
    chance = float((shares**2).sum())
    if m < 2 or chance >= 1:
        return 0.0
    values = np.asarray(embeddings, dtype=np.float64)
    values = values - values.mean(axis=0)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    near = values @ values.T
    np.fill_diagonal(near, -np.inf)
    nearest = np.argsort(-near, axis=1, kind="stable")[:, : min(k, m - 1)]
    return float(((hard[nearest] == hard[:, None]).mean() - chance) / (1 - chance))


def _fit(features: NDArray[np.floating[Any]], targets: NDArray[np.float64], penalty: float) -> logistic.Solution:
    problem = logistic.LogisticProblem(features, targets)
    return problem.head(penalty, tolerance=1e-4)
