"""Rounds that a team leaves before the end: with the order they had, and with one that is renewed on the way.

Both orders hold the same samples with the same answers, so they differ in the middle and meet at the end. That makes
the comparison paired: the same seed, the same round, the same number of votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from emolab.active_learning.selection.relearn import rearranged, relearn
from emolab.active_learning.simulation.compare import compared
from emolab.active_learning.simulation.records import SimulatedModel, SimulatedRound, Stop, Terms, Trainer
from emolab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Floats = NDArray[np.floating[Any]]

#: Shares of a round's votes after which the team may leave.
SHARES = (0.25, 0.5, 0.75)
#: How many standard errors the interval of a mean reaches to each side (95 %).
WIDE = 1.96


class State(Protocol):
    """What is read of a campaign: ``given`` (n,) answers so far, and the model ``trained`` before the round."""

    terms: Terms
    trainer: Trainer
    given: Rows
    trained: SimulatedModel | None

    def labels(self) -> tuple[Rows, Floats]:
        """Rows with a vote for some class, and their distributions, by the answers ``given``."""


@dataclass(frozen=True, kw_only=True)
class OrderVerdict:
    """What a renewed order is worth to a team that leaves a round of ``strategy`` after ``share`` of its votes.

    Means over the rounds and the seeds, 0..1; ``gain`` and ``gain_f1`` are paired by seed, with their 95 % intervals
    ``low`` to ``high`` (infinite for a single seed).
    """

    strategy: str
    share: float
    seeds: int
    rounds: int
    accuracy: float
    gain: float
    low: float
    high: float
    macro_f1: float
    gain_f1: float
    low_f1: float
    high_f1: float


def stops(state: State, rows: Rows, answers: Rows) -> list[Stop]:
    """The judge's scores after :data:`SHARES` of the votes on ``rows`` (m,), which were given ``answers`` (m,) times.

    ``rows`` come in the order of the round; ``state`` knows their answers already, and is left as it was.
    """
    before = state.given.copy()
    before[rows] = 0
    after, found = state.given, []
    try:
        orders = {"fixed": np.arange(len(rows)), "relearned": _renewed(state, before, rows, answers)}
        for share in SHARES:
            scores = {}
            for name, order in orders.items():
                asked = order[: int((np.cumsum(answers[order]) <= share * answers.sum()).sum())]
                state.given = before.copy()
                state.given[rows[asked]] = answers[asked]
                scores[name] = dict(state.trainer(*state.labels()).scores)
                votes = int(state.given.sum())
            found.append(Stop(share=share, votes=votes, fixed=scores["fixed"], relearned=scores["relearned"]))
    finally:
        state.given = after
    return found


def _renewed(state: State, before: Rows, rows: Rows, answers: Rows) -> Rows:
    """The order (m,) in which ``rows`` are asked about when the queue is renewed after ``terms.relearn`` votes."""
    model = state.trained
    if model is None:
        raise RuntimeError("a round is asked about before anything was learned")
    order = np.arange(len(rows))
    done, since = 0, 0
    while done < len(rows):
        if since >= state.terms.relearn:
            since, left = 0, order[done:]
            state.given = before.copy()
            state.given[rows[order[:done]]] = answers[order[:done]]
            known, targets = state.labels()
            new = np.isin(known, rows)  # the model has learned from the others
            try:
                said = relearn(
                    model.embeddings[known[new]], model.probs[known[new]], targets[new],
                    model.embeddings[rows[left]], model.probs[rows[left]],
                )  # fmt: skip
            except DataError:  # nobody has named a class yet
                continue
            order[done:] = left[rearranged(said.scores, np.zeros(len(left), dtype=bool))]
        since += int(answers[order[done]])
        done += 1
    return order


def verdicts(rounds: Sequence[SimulatedRound]) -> list[OrderVerdict]:
    """What a renewed order is worth, for each strategy and share of a round; none where no round was played so."""
    found = []
    for strategy in dict.fromkeys(played.strategy for played in rounds):
        own = [played for played in rounds if played.strategy == strategy and played.stops]
        for share in sorted({stop["share"] for played in own for stop in played.stops}):
            found.append(_verdict(strategy, share, own))
    return found


def _verdict(strategy: str, share: float, own: Sequence[SimulatedRound]) -> OrderVerdict:
    seeds = sorted({played.seed for played in own})

    def means(order: str, score: str) -> NDArray[np.float64]:
        return np.array([
            np.mean([stop[order][score] for one in own if one.seed == seed  # type: ignore[literal-required]
                     for stop in one.stops if stop["share"] == share])
            for seed in seeds
        ])  # fmt: skip

    fixed, fixed_f1 = means("fixed", "accuracy"), means("fixed", "macro_f1")
    gain, error, *_ = compared(means("relearned", "accuracy"), fixed)
    gain_f1, error_f1, *_ = compared(means("relearned", "macro_f1"), fixed_f1)
    return OrderVerdict(
        strategy=strategy, share=share, seeds=len(seeds), rounds=len({played.number for played in own}),
        accuracy=float(fixed.mean()), gain=gain, low=gain - WIDE * error, high=gain + WIDE * error,
        macro_f1=float(fixed_f1.mean()), gain_f1=gain_f1, low_f1=gain_f1 - WIDE * error_f1,
        high_f1=gain_f1 + WIDE * error_f1,
    )  # fmt: skip
