"""What a vote tells: how the people of a team answer for each true class, from their votes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix

from emolab.votes import dawid_skene_fit
from emolab.votes.table import answers, counts, crowds, normalised

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from emolab.records import VoteTable

#: What is believed of a team before it has voted: that a vote names what ten people would settle on in this share
#: (FER+: 0.78), worth this many votes per class. In :mod:`benchmarks.votes` chosen on FER+ train.
EXPECTED, EXPECTED_VOTES = 0.78, 200.0
#: Votes per class that everybody counts as an average member of the team.
AVERAGE_VOTES = 20.0
#: How much alike people err on the same face, see :func:`emolab.votes.dawid_skene_fit.likelihood`; chosen as above.
CORRELATION = 0.05
#: Probabilities of a model below this count as this.
LEAST = 1e-6


@dataclass(frozen=True)
class TeamHabits:
    """Chances of a vote (columns) by true class (rows): ``habits`` (w, k, k) of each annotator, ``anybody`` (k, k).

    ``shares`` (k,) of the true classes; ``said`` (n, w * k) the votes it was learned from.
    """

    habits: NDArray[np.float64]
    anybody: NDArray[np.float64]
    shares: NDArray[np.float64]
    said: csr_matrix


def learn(votes: VoteTable) -> TeamHabits:
    """The team behind ``votes``: first as a whole, then everybody for themselves, drawn towards the whole.

    So a team that is strict about contempt, somebody who says neutral too often and somebody who guesses are found out
    by how they disagree with others; who has hardly voted counts as average. The people behind counted votes change
    from sample to sample, so these count as average always.
    """
    k = len(votes.classes)
    said = answers(votes)
    w = len(votes.annotators)
    together = csr_matrix(counts(votes))
    shares = normalised(np.asarray(together.sum(axis=0)).ravel() + 0.5)
    elsewhere = normalised(np.where(np.eye(k, dtype=bool), 0.0, shares))
    expected = EXPECTED * np.eye(k) + (1 - EXPECTED) * elsewhere if k > 1 else np.eye(1)
    whole = dawid_skene_fit.fit(together, k, prior=EXPECTED_VOTES * expected, correlation=CORRELATION, informed=True)
    anybody = whole.confusion[0]
    if w == 0:
        return TeamHabits(np.zeros((0, k, k)), anybody, whole.shares, said)
    each = dawid_skene_fit.fit(said, k, prior=AVERAGE_VOTES * anybody, correlation=CORRELATION, informed=True)
    habits = np.where(crowds(votes)[:, None, None], anybody, each.confusion)
    return TeamHabits(habits, anybody, whole.shares, said)


def believed(team: TeamHabits, probs: NDArray[np.floating[Any]] | None = None) -> NDArray[np.float64]:
    """What a large crowd would settle on, as chances (n, k), given the votes and what a model says.

    ``probs`` (n, j) come from a model that has not learned from these votes; a row with NaN says nothing. It speaks of
    the first j classes; those beyond, such as answers that are no class, keep their shares. The model is one more
    opinion, raised to a power under which it explains the votes best: next to nothing for one that knows nothing.
    """
    found = dawid_skene_fit.likelihood(team.said, team.habits, CORRELATION)
    plain = np.log(team.shares)
    begin = np.tile(plain, (len(found), 1))
    if probs is not None:
        speaks = np.isfinite(probs).all(axis=1)
        j = probs.shape[1]
        logs = np.zeros((int(speaks.sum()), len(plain)))
        logs[:, :j] = np.log(np.maximum(probs[speaks], LEAST)) - np.log(normalised(team.shares[:j]))
        if len(logs):
            begin[speaks] = plain + _power(found[speaks], plain, logs) * logs
    return _normal(begin + found)


def _power(found: NDArray[np.float64], plain: NDArray[np.float64], logs: NDArray[np.float64]) -> float:
    """The power of the model's opinion ``logs`` (m, k) that makes the votes, of likelihood ``found``, most probable."""
    scale = found - found.max(axis=1, keepdims=True)
    weights = np.exp(scale)

    def loss(power: float) -> float:
        return -float(np.log((_normal(plain + power * logs) * weights).sum(axis=1)).mean())

    best = minimize_scalar(loss, bounds=(0.0, 3.0), method="bounded", options={"xatol": 1e-3})
    return float(best.x)


def _normal(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
