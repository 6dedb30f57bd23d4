"""Votes weighed by a confusion matrix per annotator, learned without any ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.labeling.labels.aggregators import DEFAULTS, AggregatorOptions
from emolab.votes import dawid_skene_fit
from emolab.votes.dawid_skene_fit import Fit
from emolab.votes.table import answers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from emolab.records import VoteTable


def aggregate(votes: VoteTable, options: AggregatorOptions = DEFAULTS) -> NDArray[np.float32]:
    """The posterior of the true class of every sample, (n, k).

    EM of Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm":

    1. start from the vote shares,
    2. estimate how each annotator answers for each true class from the current beliefs (plus a small prior),
    3. update the beliefs from everybody's answers; repeat 2 and 3 until they stay.

    It rescues hard labels from a team with biased or careless members, and is too sure of itself as a
    distribution.
    """
    return fit(answers(votes), len(votes.classes), options).posterior.astype(np.float32)


def fit(said: csr_matrix, k: int, options: AggregatorOptions = DEFAULTS) -> Fit:
    """The model fitted to ``said`` (n, w * k) of :mod:`emolab.votes.table`, with the settings of ``options``."""
    return dawid_skene_fit.fit(
        said,
        k,
        prior=options.smoothing + options.trust * np.eye(k),
        max_iterations=options.max_iterations,
        tolerance=options.tolerance,
    )
