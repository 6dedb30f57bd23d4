"""The trainer of quick simulations: a linear head on embeddings that do not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.simulation.records import SimulatedModel
from emolab.stats import logistic, metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

#: Scores a judged model is remembered by.
SCORES = ("accuracy", "macro_f1", "balanced_accuracy", "nll", "ece")


class Frozen:
    """A :class:`~emolab.active_learning.simulation.records.Trainer` that solves the head on fixed features.

    ``embeddings`` (n, d) of the field, ``judge`` (m, d) with the true classes ``truth`` (m,). The penalty is chosen by
    cross-validation on the first samples and then stays the same prior: over more samples it weighs less.
    """

    def __init__(
        self, embeddings: Floats, judge: Floats, truth: NDArray[np.int64], classes: tuple[str, ...], *, seed: int
    ) -> None:
        self.embeddings, self.judge, self.truth, self.classes, self.seed = embeddings, judge, truth, classes, seed
        self.prior = 0.0

    def settle(self, rows: NDArray[np.int64], targets: Floats) -> None:
        """Choose the penalty on the first samples."""
        best, _, _ = logistic.choose(logistic.LogisticProblem(self.embeddings[rows], targets), seed=self.seed)
        self.prior = best.penalty * len(rows)

    def __call__(self, rows: NDArray[np.int64], targets: Floats) -> SimulatedModel:
        """The head for ``rows``, and what it says about everybody."""
        problem = logistic.LogisticProblem(self.embeddings[rows], targets)
        penalty = self.prior / len(rows)
        solved = problem.head(penalty, tolerance=1e-4)
        return SimulatedModel(
            probs=solved.probabilities(self.embeddings),
            embeddings=self.embeddings,
            scores=self.scores(solved.probabilities(self.judge)),
        )

    def scores(self, probs: Floats) -> dict[str, float]:
        """What the judge says of the probabilities ``probs`` (m, k) of its samples."""
        return judged(probs, self.truth, self.classes)


def judged(probs: Floats, truth: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, float]:
    """The scores that a campaign keeps of a model."""
    found = metrics.summary(probs, truth, classes)
    return {name: float(found[name]) for name in SCORES}


def principal(pool: Floats, others: Floats, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``pool`` (n, d) and ``others`` (m, d) on the first ``width`` principal components of ``pool``, labels unseen.

    Features stay as they are when there are no more than ``width`` of them.
    """
    mean = pool.mean(axis=0, dtype=np.float64)
    if pool.shape[1] <= width:
        return (pool - mean).astype(np.float32), (others - mean).astype(np.float32)
    square = np.zeros((pool.shape[1], pool.shape[1]))
    for begin in range(0, len(pool), 8192):
        part = pool[begin : begin + 8192].astype(np.float32) - mean.astype(np.float32)
        square += part.T @ part
    vectors = np.linalg.eigh(square)[1][:, ::-1][:, :width]
    made = [((part - mean) @ vectors).astype(np.float32) for part in (pool, others)]
    return made[0], made[1]
