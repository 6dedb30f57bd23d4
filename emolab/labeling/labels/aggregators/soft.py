"""Vote shares with a Dirichlet prior: disagreement is kept as the signal it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.labeling.labels.aggregators import DEFAULTS, AggregatorOptions, takes_several
from emolab.votes.table import counts, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable


@takes_several
def aggregate(votes: VoteTable, options: AggregatorOptions = DEFAULTS) -> NDArray[np.float32]:
    """The mean of a Dirichlet posterior for every sample, (n, k).

    The prior is worth ``options.prior`` votes spread as the classes are over all votes, so a single vote does
    not become a certainty. An answer of k labels gives 1/k of its vote to each.

    Training on the distribution beats training on its mode for facial expressions
    (Barsoum et al. 2016, "Training deep networks for facial expression recognition with crowd-sourced label
    distribution").
    """
    return smooth(counts(votes), options.prior).astype(np.float32)


def smooth(table: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Distributions from ``table`` (n, k) of (weighted) votes plus ``prior`` votes in the class shares."""
    total = table.sum(axis=1, keepdims=True)
    # Half a vote for every class: a class nobody has chosen yet stays possible.
    shares = normalised(table.sum(axis=0) + 0.5)
    return normalised(np.where(total > 0, table + prior * shares, 0.0))
