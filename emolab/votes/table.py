"""Votes as sparse matrices: what every aggregator and every agreement figure counts with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from emolab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable


def answers(votes: VoteTable) -> csr_matrix:
    """Who said what about which sample: (n, w * k) float64, people per cell; column = annotator * k + class.

    Canonical (duplicates summed, columns sorted), so nothing computed from it depends on the order of votes.
    Raises :class:`DataError` for rows that point outside the table and for weights that are not positive.
    """
    n, w, k = len(votes.samples), len(votes.annotators), len(votes.classes)
    for name, rows, size in (
        ("sample", np.asarray(votes.sample), n),
        ("annotator", np.asarray(votes.annotator), w),
        ("class", np.asarray(votes.label), k),
    ):
        if rows.size and (rows.min() < 0 or rows.max() >= size):
            raise DataError(f"A vote points at {name} {int(rows.max())}, but there are only {size}.")
    if not np.all(np.isfinite(votes.weight) & (votes.weight > 0)):
        raise DataError("A vote has a weight that is not positive; expected the number of people behind it.")
    column = votes.annotator.astype(np.int64) * k + votes.label
    matrix = csr_matrix((votes.weight.astype(np.float64), (votes.sample, column)), shape=(n, w * k))
    matrix.sum_duplicates()
    return matrix


def counts(votes: VoteTable) -> NDArray[np.float64]:
    """People per sample and class, (n, k)."""
    n, k = len(votes.samples), len(votes.classes)
    cells = votes.sample.astype(np.int64) * k + votes.label
    people = np.bincount(cells, weights=votes.weight, minlength=n * k)
    return people.astype(np.float64).reshape(n, k)


def whole(people: NDArray[Any]) -> NDArray[Any]:
    """Numbers of people that were summed from shares of them, without what floating point adds: 2.9999999 is 3."""
    return np.round(people, 3)


def several(votes: VoteTable) -> bool:
    """Whether an answer holds several labels: only then a row weighs a part of a person."""
    return bool((votes.weight != np.floor(votes.weight)).any())


def one_each(votes: VoteTable, what: str, hint: str) -> None:
    """Raise :class:`DataError` where an answer holds several labels; ``what`` counts on one label an answer."""
    if several(votes):
        raise DataError(f"{what} takes one label an answer, and some answers here hold several.", hint=hint)


def crowds(votes: VoteTable) -> NDArray[np.bool_]:
    """Which annotators (w,) stand for several people, as open datasets with vote counts do.

    Behind such a name the people change from sample to sample: their votes count one by one, but there is
    nobody whose habits could be learned.
    """
    pairs = votes.sample.astype(np.int64) * len(votes.annotators) + votes.annotator
    _, inverse = np.unique(pairs, return_inverse=True)
    people = np.bincount(inverse, weights=votes.weight)[inverse]
    crowd = np.zeros(len(votes.annotators), dtype=bool)
    crowd[votes.annotator[people > 1.5]] = True  # k shares of one person may sum to a little more than 1
    return crowd


def normalised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``rows`` divided by their sums over the last axis; rows that sum to 0 become uniform."""
    total = rows.sum(axis=-1, keepdims=True)
    return np.where(total > 0, rows / np.where(total > 0, total, 1.0), 1.0 / max(rows.shape[-1], 1))


def with_votes(votes: VoteTable, minimum: int) -> VoteTable:
    """``votes`` reduced to the samples with at least ``minimum`` people (and at least one)."""
    people = np.bincount(votes.sample, weights=votes.weight, minlength=len(votes.samples))
    kept = whole(people) >= max(minimum, 1)
    row = np.cumsum(kept, dtype=np.int32) - 1
    inside = kept[votes.sample]
    return replace(
        votes,
        samples=[sample for sample, keep in zip(votes.samples, kept.tolist(), strict=True) if keep],
        sample=row[votes.sample[inside]].astype(np.int32),
        annotator=votes.annotator[inside],
        label=votes.label[inside],
        weight=votes.weight[inside],
    )


def of(votes: VoteTable, names: Collection[str]) -> VoteTable:
    """``votes`` reduced to those of the annotators called ``names``; samples and annotators stay as they are."""
    chosen = np.array([name in names for name in votes.annotators], dtype=bool)[votes.annotator]
    return replace(
        votes,
        sample=votes.sample[chosen],
        annotator=votes.annotator[chosen],
        label=votes.label[chosen],
        weight=votes.weight[chosen],
    )


def about(votes: VoteTable, ids: Collection[str]) -> VoteTable:
    """``votes`` about the samples ``ids`` alone, and the annotators who cast them; nothing tells of the others."""
    wanted = frozenset(ids)
    kept = np.array([sample in wanted for sample in votes.samples], dtype=bool)
    inside = kept[votes.sample]
    row = np.cumsum(kept, dtype=np.int32) - 1
    present, annotator = np.unique(votes.annotator[inside], return_inverse=True)
    return replace(
        votes,
        samples=[sample for sample, keep in zip(votes.samples, kept.tolist(), strict=True) if keep],
        annotators=[votes.annotators[i] for i in present.tolist()],
        sample=row[votes.sample[inside]].astype(np.int32),
        annotator=annotator.astype(np.int32),
        label=votes.label[inside],
        weight=votes.weight[inside],
    )
