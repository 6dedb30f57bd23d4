"""The ten votes of FER+ faces as they come: dealt to a team, asked for by a policy, learned by a linear head.

The ten real votes of every face come in a random order, "unknown" and "not a face" with them, from a team of ten
nicknames; the first ones count. Labels are those of the default aggregator with its default settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ferplus import CLASSES, K
from emolab.config import LabelingConfig
from emolab.labeling.labels.aggregators import DEFAULTS
from emolab.plugins import AGGREGATORS
from emolab.records import VoteTable
from emolab.stats import logistic
from emolab.votes.quota import VoteQuota
from emolab.votes.sufficiency import ONE_MORE, decide

PEOPLE = 10
#: Principal components of the frozen features.
COMPONENTS = 128
SURE = LabelingConfig().sure
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Dealt:
    """Votes in the order they come: ``said`` (n, 10) columns of FER+ (-1: no more) by the nicknames ``who`` (n, 10)."""

    said: NDArray[np.int64]
    who: NDArray[np.int64]

    def first(self, n: int) -> Dealt:
        """Those of the first ``n`` faces."""
        return Dealt(self.said[:n], self.who[:n])


def deal(votes: NDArray[np.int64], rng: np.random.Generator) -> Dealt:
    """The ten ``votes`` (n, 10 counts) of every face in a random order."""
    n = len(votes)
    said = np.full((n, PEOPLE), -1)
    for row, counts in enumerate(votes):
        one = np.repeat(np.arange(len(counts)), counts)[:PEOPLE]
        said[row, : len(one)] = rng.permutation(one)
    return Dealt(said, rng.permuted(np.tile(np.arange(PEOPLE), (n, 1)), axis=1))


def table(dealt: Dealt, given: NDArray[np.int64], *, meta: bool) -> VoteTable:
    """The first ``given`` (n,) votes of each face; all that is no class is a ninth one if ``meta``, else left out."""
    here = (np.arange(PEOPLE) < given[:, None]) & (dealt.said >= 0)
    if not meta:
        here &= dealt.said < K
    sample, place = np.nonzero(here)
    return VoteTable(
        samples=[f"{row}" for row in range(len(dealt.said))],
        annotators=[f"p{person}" for person in range(PEOPLE)],
        classes=(*CLASSES, "none") if meta else CLASSES,
        sample=sample.astype(np.int32),
        annotator=dealt.who[sample, place].astype(np.int32),
        label=np.minimum(dealt.said[sample, place], K).astype(np.int16),
        weight=np.ones(len(sample), dtype=np.float32),
    )


def ask(dealt: Dealt, wanted: VoteQuota, *, probs: Floats | None = None, sure: float = SURE) -> NDArray[np.int64]:
    """How many votes (n,) each face has when the policy asks for no more."""
    given = np.full(len(dealt.said), wanted.low)
    while wanted.adaptive:
        made, has = labels(dealt, given)
        label = np.where(has, made.argmax(axis=1), K)
        votes = table(dealt, given, meta=True)
        found = decide(votes, wanted=wanted, sure=sure, probs=probs, people=given, labels=label)
        more = found.state == ONE_MORE
        if not more.any():
            break
        given = given + more
    return given


def labels(dealt: Dealt, given: NDArray[np.int64], aggregator: str = "hybrid") -> tuple[Floats, NDArray[np.bool_]]:
    """Label distributions (n, 8), and which faces (n,) have one: fewer than half of the people call it unlabelable."""
    votes = table(dealt, given, meta=False)
    found = np.asarray(AGGREGATORS.load(aggregator)(votes, DEFAULTS), dtype=np.float64)
    people = np.bincount(votes.sample, minlength=len(given))
    return found, 2 * people > given


def out_of_fold(features: Floats, dealt: Dealt, given: NDArray[np.int64]) -> Floats:
    """What a linear head says (n, 8) of faces it has not learned from; it learns from the votes so far.

    The penalty is chosen by cross-validation on all of them.
    """
    targets, has = labels(dealt, given)
    penalty = logistic.choose(logistic.LogisticProblem(features[has], targets[has]), seed=0)[0].penalty
    found = np.empty_like(targets)
    for part in logistic.folds(targets.argmax(axis=1), 5, seed=0):
        rows = np.setdiff1d(np.flatnonzero(has), part)
        problem = logistic.LogisticProblem(features[rows], targets[rows])
        solved = problem.head(penalty, tolerance=1e-4)
        found[part] = solved.probabilities(features[part])
    return found
