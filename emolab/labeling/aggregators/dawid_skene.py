"""Votes weighed by a confusion matrix per annotator, learned without any ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.labeling.aggregators import DEFAULTS, Options
from emolab.tally import answers, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from emolab.records import VoteTable


@dataclass(frozen=True)
class Fit:
    """A fitted model: ``posterior`` (n, k), ``confusion`` (w, true class, vote), class ``shares`` (k,)."""

    posterior: NDArray[np.float64]
    confusion: NDArray[np.float64]
    shares: NDArray[np.float64]
    iterations: int


def aggregate(votes: VoteTable, options: Options = DEFAULTS) -> NDArray[np.float32]:
    """The posterior of the true class of every sample, (n, k).

    EM of Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm":

    1. start from the vote shares,
    2. estimate how each annotator answers for each true class from the current beliefs (plus a small prior),
    3. update the beliefs from everybody's answers; repeat 2 and 3 until they stay.

    It rescues hard labels from a team with biased or careless members, and is too sure of itself as a
    distribution.
    """
    return fit(answers(votes), len(votes.classes), options).posterior.astype(np.float32)


def fit(said: csr_matrix, k: int, options: Options = DEFAULTS) -> Fit:
    """The model fitted to ``said`` (n, w * k), see :func:`emolab.tally.answers`.

    Both steps of the EM are one product with a sparse matrix.
    """
    w = said.shape[1] // k
    voted = np.diff(said.indptr) > 0
    beliefs = said[voted]
    by_answer = beliefs.T.tocsr()
    posterior = normalised(np.asarray(beliefs @ np.tile(np.eye(k), (w, 1))))
    prior = options.smoothing + options.trust * np.eye(k)
    iterations = 0
    while True:
        confusion = normalised(np.asarray(by_answer @ posterior).reshape(w, k, k).transpose(0, 2, 1) + prior)
        shares = normalised(posterior.sum(axis=0) + 1.0)
        if iterations >= options.max_iterations:
            break
        iterations += 1
        updated = np.asarray(beliefs @ np.log(confusion).transpose(0, 2, 1).reshape(w * k, k))
        updated += np.log(shares)
        updated -= updated.max(axis=1, keepdims=True)
        np.exp(updated, out=updated)
        updated /= updated.sum(axis=1, keepdims=True)
        posterior -= updated
        change = float(np.abs(posterior).sum()) / max(posterior.size, 1)
        posterior = updated
        if change < options.tolerance:
            break
    everywhere = np.full((said.shape[0], k), 1.0 / k)
    everywhere[voted] = posterior
    return Fit(everywhere, confusion, shares, iterations)
