"""Aggregators: many votes per sample in, one distribution over the classes per sample out.

Each module holds one algorithm as ``aggregate(votes: VoteTable, options: AggregatorOptions) -> (n, k) float32`` with
rows that sum to 1, in the order of ``votes.samples``. Every one of them is deterministic, does not depend on
the order of the votes, and answers a sample without votes with the uniform distribution: nothing is known
about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AggregatorOptions:
    """Settings of aggregation. Part of the version of the labels they make.

    ``prior``: votes' worth of belief in the overall class shares, added to every sample (soft, hybrid).
    ``smoothing`` and ``trust``: votes added to every cell and to the diagonal of every annotator's confusion
    matrix, so that an annotator with few votes counts as decent, not as perfect or useless (dawid_skene,
    hybrid).
    ``max_iterations`` and ``tolerance`` (mean absolute change of a probability) end the EM.
    """

    prior: float = 0.25
    smoothing: float = 0.5
    trust: float = 2.0
    max_iterations: int = 100
    tolerance: float = 1e-3


def takes_several(aggregator: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an aggregator that is right where an answer holds several labels, whose rows share its one vote."""
    aggregator.takes_several = True  # type: ignore[attr-defined]
    return aggregator


DEFAULTS = AggregatorOptions()
