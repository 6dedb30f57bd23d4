"""What people perceive, and what was intended: two questions whose answers are never added together.

A clip's *intended* emotion is what its actor was asked to show, its *perceived* one what those who hear it say. In
CREMA-D people who only hear a clip name the intended emotion in four of ten votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.stats.proportions import wilson
from emolab.votes.table import counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable

#: What the team says, and datasets whose labels are votes; what actors were asked for.
PERCEIVED, INTENDED = PERSPECTIVES = ("perceived", "intended")


@dataclass(frozen=True, kw_only=True)
class ClassHeard:
    """One intended class: its ``samples``, the share that a single winner of the votes repeats (``same``), the share of
    single ``votes`` that do, and the class that most of the other votes name, with their share of all votes."""

    name: str
    samples: int
    same: float
    votes: float
    instead: str | None
    share: float


@dataclass(frozen=True, kw_only=True)
class PerspectiveAgreement:
    """How far votes of one perspective repeat the label of the other, on the ``samples`` that have both.

    ``same`` is the share whose votes have a single winner (all but ``tied``) that is the other label, with a 95 %
    interval from ``low`` to ``high``; ``kappa`` is Cohen's (1960) of the two; ``votes`` is the share of single votes
    that equal it, of ``people`` votes. NaN where there is nothing to count.
    """

    samples: int
    tied: int
    same: float
    low: float
    high: float
    kappa: float
    votes: float
    people: int
    classes: tuple[ClassHeard, ...]


def agreement(perceived: VoteTable, intended: VoteTable) -> PerspectiveAgreement | None:
    """How far the votes of ``perceived`` repeat ``intended``; ``None`` where no sample has both.

    Samples without a single intended class are left out. Both tables have the same classes.
    """
    heard, meant = _common(perceived, intended)
    if not len(heard):
        return None
    truth, best = meant.argmax(axis=1), heard.argmax(axis=1)
    clear = (heard == heard.max(axis=1, keepdims=True)).sum(axis=1) == 1
    hit = (best == truth) & clear
    n, k = int(clear.sum()), heard.shape[1]
    same = float(hit.sum() / n) if n else float("nan")
    mine, theirs = (np.bincount(each[clear], minlength=k) / max(n, 1) for each in (best, truth))
    chance = float(mine @ theirs)
    interval = wilson(same, n) if n else (float("nan"), float("nan"))
    return PerspectiveAgreement(
        samples=len(heard),
        tied=len(heard) - n,
        same=same,
        low=interval[0],
        high=interval[1],
        kappa=(same - chance) / (1 - chance) if n and chance < 1 else float("nan"),
        votes=float(heard[np.arange(len(heard)), truth].sum() / heard.sum()),
        people=int(heard.sum()),
        classes=tuple(
            _class(j, heard[truth == j], hit[(truth == j) & clear], perceived.classes)
            for j in range(k)
            if (truth == j).any()
        ),
    )


def _common(perceived: VoteTable, intended: VoteTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The counts (n, k) of both, on the samples that have votes of the one and a single winner of the other."""
    rows = {sample: row for row, sample in enumerate(intended.samples)}
    mine = np.array([row for row, sample in enumerate(perceived.samples) if sample in rows], dtype=np.int64)
    theirs = np.array([rows[perceived.samples[row]] for row in mine.tolist()], dtype=np.int64)
    heard, meant = counts(perceived)[mine], counts(intended)[theirs]
    single = (meant == meant.max(axis=1, keepdims=True)).sum(axis=1) == 1
    kept = (heard.sum(axis=1) > 0) & single & (meant.sum(axis=1) > 0)
    return heard[kept], meant[kept]


def _class(own: int, heard: NDArray[np.float64], hit: NDArray[np.bool_], classes: tuple[str, ...]) -> ClassHeard:
    total = heard.sum(axis=0)
    others = np.where(np.arange(len(classes)) == own, 0, total)
    most = int(others.argmax())
    return ClassHeard(
        name=classes[own],
        samples=len(heard),
        same=float(hit.mean()) if len(hit) else float("nan"),
        votes=float(total[own] / total.sum()),
        instead=classes[most] if others[most] else None,
        share=float(others[most] / total.sum()),
    )
