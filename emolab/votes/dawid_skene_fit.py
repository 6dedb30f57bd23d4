"""How every annotator answers for each true class, learned without any ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.votes.table import normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Fit:
    """A fitted model: ``posterior`` (n, k), ``confusion`` (w, true class, vote), class ``shares`` (k,)."""

    posterior: NDArray[np.float64]
    confusion: NDArray[np.float64]
    shares: NDArray[np.float64]
    iterations: int


def fit(
    said: csr_matrix,
    k: int,
    *,
    prior: NDArray[np.float64],
    correlation: float = 0.0,
    informed: bool = False,
    max_iterations: int = 100,
    tolerance: float = 1e-3,
) -> Fit:
    """The model of Dawid & Skene 1979 fitted to ``said`` (n, w * k), see :func:`emolab.votes.table.answers`, by EM.

    ``prior`` (k, k) are votes added to everybody's confusion matrix. EM starts from the vote shares or, ``informed``,
    from what the prior makes of them: where most samples have a single vote the shares would teach that nobody errs.
    ``correlation`` as in :func:`likelihood`. Ends when beliefs change by less than ``tolerance`` on average. Both steps
    are one product with a sparse matrix.
    """
    w = said.shape[1] // k
    voted = np.diff(said.indptr) > 0
    beliefs = said[voted]
    by_answer = beliefs.T.tocsr()
    posterior = normalised(np.asarray(beliefs @ np.tile(np.eye(k), (w, 1))))
    if informed:
        shares = normalised(posterior.sum(axis=0) + 1.0)
        posterior = _believed(likelihood(beliefs, np.tile(normalised(prior), (w, 1, 1)), correlation), shares)
    iterations = 0
    while True:
        confusion = normalised(np.asarray(by_answer @ posterior).reshape(w, k, k).transpose(0, 2, 1) + prior)
        shares = normalised(posterior.sum(axis=0) + 1.0)
        if iterations >= max_iterations:
            break
        iterations += 1
        updated = _believed(likelihood(beliefs, confusion, correlation), shares)
        posterior -= updated
        change = float(np.abs(posterior).sum()) / max(posterior.size, 1)
        posterior = updated
        if change < tolerance:
            break
    everywhere = np.full((said.shape[0], k), 1.0 / k)
    everywhere[voted] = posterior
    return Fit(everywhere, confusion, shares, iterations)


def likelihood(said: csr_matrix, confusion: NDArray[np.float64], correlation: float = 0.0) -> NDArray[np.float64]:
    """Log-likelihood (n, k) of what was ``said`` (n, w * k) for each true class, given ``confusion`` (w, true, vote).

    People who look at the same face err alike, so m votes are worth only m / (1 + ``correlation`` * (m - 1)) (the
    design effect of Kish 1965, "Survey sampling"); with 0 they err independently, as in the model of 1979.
    """
    w, k, _ = confusion.shape
    found = np.asarray(said @ np.log(confusion).transpose(0, 2, 1).reshape(w * k, k))
    if correlation:
        people = np.asarray(said.sum(axis=1)).ravel()
        found /= (1 + correlation * np.maximum(people - 1, 0))[:, None]
    return found


def _believed(found: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """``found`` (n, k) log-likelihoods, which are overwritten, and class ``shares`` (k,) as a posterior (n, k)."""
    found += np.log(shares)
    found -= found.max(axis=1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=1, keepdims=True)
    return found
