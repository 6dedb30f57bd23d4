"""How well a perfect model could do, as far as people agree: against one more vote, against labels of several votes.

A perfect model names for each sample the class that most people would. It still differs from a single person, and from
a label that few votes decided, as often as people differ among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.advice import opinions
from emolab.active_learning.advice.power_law import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.active_learning.advice.opinions import Opinions

#: Samples with two or more votes from which on anything is said.
FEWEST = 40
#: Parts of which each is left out once, and the steps that the mixture then needs from where it was.
PARTS, MORE_STEPS = 10, 40
#: Quantile of Student's t with PARTS - 1 degrees of freedom that leaves 5 % on either side.
STUDENT = 1.833
#: Standard deviation of what the mixture's fixed distributions leave out, on simulated teams (benchmarks.advice).
MISFIT = 0.02
#: Votes drawn per distribution to see what label they give.
DRAWS = 400


@dataclass(frozen=True)
class Ceiling:
    """The best accuracy there can be, from ``samples`` with two or more votes, ``votes`` per label on average.

    ``person`` is a perfect model against one more vote, ``label`` against the winner of that many votes; ``others`` is
    what can be seen directly: how often the majority of the others names the class of a vote left out (ties count as
    one part of each), which a perfect model exceeds.
    """

    person: Interval
    label: Interval
    others: float
    samples: int
    votes: float


def ceiling(counts: NDArray[np.float64], rng: np.random.Generator) -> Ceiling | None:
    """The ceiling for a team that voted ``counts`` (n, k); ``None`` with fewer than 40 samples of two or more votes.

    The mixture of :mod:`emolab.active_learning.advice.opinions` is fitted to the votes; its mean largest share answers
    for ``person``, and votes drawn from it for ``label``. Intervals by leaving out one of ten parts at a time (Tukey
    1958), and a term for what the mixture cannot express.
    """
    counts = pairs(counts)
    n = len(counts)
    if n < FEWEST:
        return None
    votes = float(counts.sum(axis=1).mean())
    found = opinions.fit(counts)
    right = _right(found, max(1, round(votes)), rng)
    part = rng.permutation(n) % PARTS
    without = [opinions.fit(counts[part != left], start=found, steps=MORE_STEPS).shares for left in range(PARTS)]
    return Ceiling(
        person=_interval(found, np.stack(without), found.shapes.max(axis=1)),
        label=_interval(found, np.stack(without), right),
        others=others_agree(counts),
        samples=n,
        votes=votes,
    )


def pairs(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those rows of ``counts`` (n, k) that hold two or more votes."""
    found: NDArray[np.float64] = counts[counts.sum(axis=1) >= 2]
    return found


def others_agree(counts: NDArray[np.float64]) -> float:
    """How often the majority of the other votes of a sample names the class of a vote, over ``counts`` (n, k)."""
    right = np.zeros(len(counts))
    for c in range(counts.shape[1]):
        rest = counts - np.eye(counts.shape[1])[c]
        leads = rest == rest.max(axis=1, keepdims=True)
        right += np.where(counts[:, c] > 0, counts[:, c] * leads[:, c] / leads.sum(axis=1), 0.0)
    return float((right / counts.sum(axis=1)).mean())


def _right(found: Opinions, votes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often (s,) the winner of ``votes`` votes is the class most people would name; ties are drawn."""
    drawn = rng.multinomial(votes, found.shapes, size=(DRAWS, len(found.shapes)))
    winner = (drawn + rng.random(drawn.shape) / 2).argmax(axis=2)
    right: NDArray[np.float64] = (winner == found.best).mean(axis=0)
    return right


def _interval(found: Opinions, without: NDArray[np.float64], figure: NDArray[np.float64]) -> Interval:
    """The mean ``figure`` (s,) over the mixture, and its interval from the shares ``without`` one part each."""
    left = without @ figure
    variance = (PARTS - 1) / PARTS * ((left - left.mean()) ** 2).sum()
    value = float(found.shares @ figure)
    half = STUDENT * float(np.sqrt(variance + MISFIT**2))
    return Interval(value, max(0.0, value - half), min(1.0, value + half))
