"""Labels that are probably wrong: what a head that has not seen a sample says of it, against the votes it got.

Like confident learning (Northcutt et al. 2021), out-of-fold probabilities are held against the labels, but a label is
doubted only where its own votes leave room for it: by Bayes' rule, the model's opinion times the likelihood of the
votes (:mod:`emolab.active_learning.advice.opinions`). Without that a weak model doubts far too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax, softmax

from emolab.active_learning.advice import learning_curve
from emolab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.active_learning.advice.learning_curve import Labelled
    from emolab.active_learning.advice.opinions import Opinions

FOLDS = 5
#: A label is doubted when it is wrong with at least this probability.
DOUBT = 0.5
#: Temperatures among which the one that fits the labels best is taken.
TEMPERATURES = np.geomspace(0.25, 4.0, 41)


@dataclass(frozen=True)
class Doubtful:
    """``rows`` of doubted labels, worst first, how probably each is ``wrong`` and the class to look at ``instead``.

    ``noise`` is the share of all labels that is wrong by the same reckoning, ``noise_after`` what is left of it once
    the doubted ones are put right, both in 0..1.
    """

    rows: NDArray[np.int64]
    wrong: NDArray[np.float64]
    instead: NDArray[np.int64]
    noise: float
    noise_after: float


def find(data: Labelled, counts: NDArray[np.float64], opinions: Opinions, rng: np.random.Generator) -> Doubtful:
    """The doubted ones among the labels ``data.hard`` (n,) that the votes ``counts`` (n, k) led to."""
    believed = out_of_fold(data, rng) * opinions.likelihood(counts)
    believed /= np.maximum(believed.sum(axis=1, keepdims=True), 1e-300)
    n = len(data.hard)
    wrong = 1 - believed[np.arange(n), data.hard]
    rows = np.flatnonzero(wrong >= DOUBT)
    rows = rows[np.argsort(-wrong[rows], kind="stable")]
    others = np.where(np.eye(counts.shape[1], dtype=bool)[data.hard[rows]], -1.0, believed[rows])
    total = float(wrong.sum())
    return Doubtful(rows, wrong[rows], others.argmax(axis=1), total / n, (total - float(wrong[rows].sum())) / n)


def out_of_fold(data: Labelled, rng: np.random.Generator) -> NDArray[np.float64]:
    """Probabilities (n, k) of every sample by heads that learnt from four fifths of the units, without its own.

    One temperature for all makes them fit the labels best. Raises :class:`DataError` where nothing is left to learn
    from, as when all samples belong together.
    """
    _, number = np.unique(data.unit, return_inverse=True)
    fold = (rng.permutation(int(number.max()) + 1) % FOLDS)[number]
    taught = np.flatnonzero(data.teach)
    weight = learning_curve.penalty(data, taught) * len(taught)
    scores = np.zeros(data.targets.shape)
    for held in np.unique(fold):
        rows = np.flatnonzero(data.teach & (fold != held))
        if not len(rows):
            raise DataError("All labelled samples belong together, so none can judge what others teach.")
        asked = np.flatnonzero(fold == held)
        scores[asked] = learning_curve.logits(data, rows, asked, weight / len(rows))
    row = np.arange(len(scores))
    losses = [-float(log_softmax(scores / t, axis=1)[row, data.hard].mean()) for t in TEMPERATURES]
    found: NDArray[np.float64] = softmax(scores / TEMPERATURES[int(np.argmin(losses))], axis=1)
    return found
