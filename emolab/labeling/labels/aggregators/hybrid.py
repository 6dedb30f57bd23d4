"""The robust mix, the default: votes weighted by reliability, Dawid-Skene where annotators differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import diags_array

from emolab.labeling.labels.aggregators import DEFAULTS, AggregatorOptions
from emolab.labeling.labels.aggregators.dawid_skene import fit
from emolab.labeling.labels.aggregators.soft import smooth
from emolab.votes.dawid_skene_fit import Fit
from emolab.votes.table import answers, crowds, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from emolab.records import VoteTable

LARGEST_SHARE = 0.5  # of Dawid-Skene in the mix
FULL_DIFFERENCE = 0.2  # nats per vote from which on that share is reached


def aggregate(votes: VoteTable, options: AggregatorOptions = DEFAULTS) -> NDArray[np.float32]:
    """A distribution per sample, (n, k): honest about disagreement, yet not fooled by careless annotators.

    1. Fit Dawid-Skene, which tells how reliable everybody is.
    2. Weigh every vote by the squared reliability of its annotator and take shares, with the Dirichlet prior
       of ``soft``.
    3. Mix in the Dawid-Skene posterior as far as annotators really differ (see :func:`difference`): not at
       all in an even team, where it would only explain true ambiguity away, half in a team with biased
       members. Counted votes of a crowd, whose members cannot be told apart, never get a Dawid-Skene share.

    The mix was chosen on simulated teams over the FER+ distributions: docs/aggregation.md has the table,
    ``python -m benchmarks.aggregation`` prints it.
    """
    k = len(votes.classes)
    said = answers(votes)
    model = fit(said, k, options)
    weights = np.repeat(reliability(model) ** 2, k)
    everybody = np.tile(np.eye(k), (len(votes.annotators), 1))
    shares = smooth(np.asarray(said @ diags_array(weights) @ everybody), options.prior)
    persons = np.repeat((~crowds(votes)).astype(np.float64), k)
    people = np.asarray(said.sum(axis=1)).ravel()
    told_apart = np.divide(said @ persons, people, out=np.zeros(len(people)), where=people > 0)
    mix = LARGEST_SHARE * min(1.0, max(0.0, difference(said, model) / FULL_DIFFERENCE)) * told_apart[:, None]
    return normalised(mix * model.posterior + (1 - mix) * shares).astype(np.float32)


def reliability(model: Fit) -> NDArray[np.float64]:
    """How often each annotator (w,) names the true class, relative to the best of the team, in 0..1."""
    correct = np.asarray(np.einsum("wcc,c->w", model.confusion, model.shares))
    return correct / correct.max() if len(correct) else correct


def difference(said: csr_matrix, model: Fit) -> float:
    """What knowing *who* voted tells about a vote beyond the true class, in nats per vote.

    The likelihood-ratio statistic of one confusion matrix per annotator against one for all, less what it
    would be by chance if all were alike (its degrees of freedom, counting only cells that expect a vote).
    """
    w, k = len(model.confusion), len(model.shares)
    total = float(said.sum())
    if total == 0:
        return 0.0
    cells = np.asarray(said.T @ model.posterior).reshape(w, k, k).transpose(0, 2, 1)
    pooled = normalised(cells.sum(axis=0))
    own = normalised(cells)
    ratio = np.log(own, out=np.zeros_like(own), where=cells > 0) - np.log(
        np.broadcast_to(pooled, own.shape), out=np.zeros_like(own), where=cells > 0
    )
    by_class = cells.sum(axis=2)
    freedom = np.minimum(1, by_class[..., None] * pooled).sum() - np.minimum(1, by_class).sum()
    return float(2 * (cells * ratio).sum() - freedom) / (2 * total)
