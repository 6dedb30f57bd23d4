"""The class most people voted for, as one-hot rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.labeling.labels.aggregators import DEFAULTS, AggregatorOptions
from emolab.votes.table import counts, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable


def aggregate(votes: VoteTable, options: AggregatorOptions = DEFAULTS) -> NDArray[np.float32]:  # noqa: ARG001
    """The plurality class of every sample, (n, k); tied classes share the row evenly."""
    table = counts(votes)
    winners = (table == table.max(axis=1, keepdims=True)) & (table > 0)
    return normalised(winners.astype(np.float64)).astype(np.float32)
