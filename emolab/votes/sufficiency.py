"""Whether a sample's votes are enough, or one more opinion is worth asking for, and whose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import DataError
from emolab.votes.confusion import TeamHabits, believed, learn
from emolab.votes.table import crowds

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from emolab.records import VoteTable
    from emolab.votes.quota import VoteQuota

ENOUGH, ONE_MORE, GIVEN_UP = 0, 1, 2
#: Nats an answer must be expected to tell to be worth asking for; a good answer on a split sample tells 0.3 and more.
WORTH = 0.02


@dataclass(frozen=True)
class Decisions:
    """For each of n samples what to do, and why.

    ``state`` (n,): ``ENOUGH``, ``ONE_MORE`` or ``GIVEN_UP``. ``leader`` (n,) is the likeliest class by the votes alone,
    as labels are made of votes, and ``chance`` (n,) that a large crowd would settle on it, by votes and model. ``gain``
    (n,) is what the next answer is expected to tell beyond the votes, in nats, and ``whom`` (n,) indexes annotators:
    the one to learn most from who has not voted on it; -1: anybody new.
    """

    state: NDArray[np.int8]
    leader: NDArray[np.int64]
    chance: NDArray[np.float64]
    gain: NDArray[np.float64]
    whom: NDArray[np.int64]


def decide(
    votes: VoteTable,
    *,
    wanted: VoteQuota,
    sure: float,
    probs: NDArray[np.floating[Any]] | None = None,
    people: NDArray[np.integer[Any]] | None = None,
    labels: NDArray[np.integer[Any]] | None = None,
) -> Decisions:
    """What to do about each of ``votes.samples``, given who said what and what a model thinks.

    1. Fewer than ``wanted.low`` people: one more.
    2. A large crowd would settle on the leader with a chance of ``sure`` or more: enough. A model that contradicts the
       votes never settles a sample, however sure it is.
    3. ``wanted.high`` people have answered, or nobody's answer is expected to tell anything: given up, as ambiguous.
    4. Else one more, best of all from whoever is expected to tell most.

    ``probs`` as in :func:`emolab.votes.confusion.believed`. ``people`` (n,) counts all answers, meta answers too;
    by default the votes. ``labels`` (n,) are the classes that an aggregator makes of the votes, and take the place of
    the leader: a label is what must be right. A pure function.
    """
    if not 0 < sure < 1:
        raise DataError(f"A certainty of {sure:g} cannot be asked for; expected a number between 0 and 1.")
    n, k = len(votes.samples), len(votes.classes)
    if probs is not None and (len(probs) != n or probs.shape[1] > k):
        raise DataError(f"Predictions have the shape {probs.shape}; expected {n} rows and up to {k} classes.")
    team = learn(votes)
    by_votes = believed(team)
    leader = by_votes.argmax(axis=1) if labels is None else np.asarray(labels, dtype=np.int64)
    given = np.asarray(team.said.sum(axis=1)).ravel() if people is None else np.asarray(people)
    chance = (by_votes if probs is None else believed(team, probs))[np.arange(n), leader]
    gain, whom = _most_telling(votes, team, by_votes)
    state = np.full(n, ONE_MORE, dtype=np.int8)
    state[(given >= wanted.high) | (gain < WORTH)] = GIVEN_UP
    state[chance >= sure] = ENOUGH
    state[given < wanted.low] = ONE_MORE
    return Decisions(state, leader, chance, gain, whom)


def _most_telling(
    votes: VoteTable, team: TeamHabits, chances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The largest expected information of one more answer (n,), in nats, and whose it is (n,); -1: anybody new."""
    n, k = chances.shape
    persons = np.flatnonzero(~crowds(votes)) if len(votes.annotators) else np.empty(0, dtype=np.int64)
    cells = team.said.tocoo()
    seen = np.zeros((n, len(votes.annotators)), dtype=bool)
    seen[cells.row, cells.col // k] = True
    best, whom = np.full(n, -np.inf), np.full(n, -1, dtype=np.int64)
    for person in persons.tolist():
        told = np.where(seen[:, person], -np.inf, information(chances, team.habits[person]))
        better = told > best
        best[better], whom[better] = told[better], person
    new = whom < 0
    best[new] = information(chances[new], team.anybody)
    return best, whom


def information(chances: NDArray[np.float64], habit: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much (n,), in nats, an answer by ``habit`` (k true, k said) is expected to tell about classes of ``chances``.

    The mutual information of answer and class: 0 for somebody who answers alike whatever is shown.
    """
    said = chances @ habit
    blur = -(habit * np.log(np.maximum(habit, 1e-12))).sum(axis=1)
    told: NDArray[np.float64] = -(said * np.log(np.maximum(said, 1e-12))).sum(axis=1) - chances @ blur
    return np.maximum(told, 0.0)
