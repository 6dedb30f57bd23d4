"""How people see samples: which distributions of opinions there are, and how common each is, from a few votes each.

A mixture of fixed distributions whose shares are found by expectation-maximisation, a nonparametric estimate of the
mixing distribution (Laird 1978). A single sample's votes say little about its own distribution, those of all say much
about the distributions there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Share of votes that go to any class by mistake.
SLIPS = 0.01
STEPS = 200
#: With more classes than this, samples that people see in three ways are left to those with two.
THREE_WAYS = 10


@dataclass(frozen=True)
class Opinions:
    """``shapes`` (s, k): distributions of opinions over the classes, rows sum to 1; ``shares`` (s,): how common."""

    shapes: NDArray[np.float64]
    shares: NDArray[np.float64]

    @property
    def best(self) -> NDArray[np.int64]:
        """The class (s,) most people would name."""
        found: NDArray[np.int64] = self.shapes.argmax(axis=1)
        return found

    def likelihood(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """How likely the votes ``counts`` (n, k) are if most people would name a class, (n, k), up to a row's scale."""
        joint = np.exp(_log_likelihood(counts, self.shapes)) * self.shares
        members = np.eye(counts.shape[1])[self.best]
        found: NDArray[np.float64] = (joint @ members) / np.maximum(self.shares @ members, 1e-12)
        return found


def fit(counts: NDArray[np.float64], *, start: Opinions | None = None, steps: int = STEPS) -> Opinions:
    """The mixture that makes the votes ``counts`` (n, k) likeliest; samples without votes say nothing."""
    patterns, repeats = np.unique(counts, axis=0, return_counts=True)
    shapes = _shapes(counts.shape[1]) if start is None else start.shapes
    shares = np.full(len(shapes), 1 / len(shapes)) if start is None else start.shares
    likely = np.exp(_log_likelihood(patterns, shapes))
    weight = repeats / repeats.sum()
    for _ in range(steps):
        shares = shares * (likely.T @ (weight / np.maximum(likely @ shares, 1e-300)))
    return Opinions(shapes, shares / shares.sum())


def _log_likelihood(counts: NDArray[np.float64], shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, s), up to a constant per row; the largest of each row is 0."""
    found = counts @ np.log(shapes).T
    made: NDArray[np.float64] = found - found.max(axis=1, keepdims=True)
    return made


def _shapes(k: int) -> NDArray[np.float64]:
    """One class, two classes in steps of a tenth, three in a few proportions; all with some slips."""
    rows: list[dict[int, float]] = [{one: 1.0} for one in range(k)]
    rows += [{a: w, b: 1 - w} for a, b in permutations(range(k), 2) for w in (0.9, 0.8, 0.7, 0.6)]
    rows += [{a: 0.5, b: 0.5} for a, b in combinations(range(k), 2)]
    if k <= THREE_WAYS:
        rows += [
            {a: w, b: (1 - w) / 2, c: (1 - w) / 2}
            for a in range(k)
            for b, c in combinations([other for other in range(k) if other != a], 2)
            for w in (0.8, 0.6, 0.4)
        ]
    shapes = np.zeros((len(rows), k))
    for number, row in enumerate(rows):
        shapes[number, list(row)] = list(row.values())
    return (1 - SLIPS) * shapes + SLIPS / k
