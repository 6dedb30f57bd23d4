"""Counts of n-grams to a sparse matrix: logarithm of the count, times how rare the n-gram is, each family of length 1.

What is rare is learnt from the training sentences (:func:`fit`). Buckets that fewer than ``least`` of them fill are
left out. Each of the others is a column, so the matrix is as wide as what was seen and not as the number of buckets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.text.ngrams import NgramCounts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Tfidf:
    """``buckets`` (d,) int64, ascending, are the columns; ``rarity`` (d,) float32 their weights; ``half`` the first
    bucket of letters."""

    buckets: NDArray[np.int64]
    rarity: NDArray[np.float32]
    half: int

    def known(self, bucket: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each bucket (m,) has a column."""
        if not len(self.buckets):
            return np.zeros(len(bucket), bool)
        place = np.minimum(np.searchsorted(self.buckets, bucket), len(self.buckets) - 1)
        found: NDArray[np.bool_] = self.buckets[place] == bucket
        return found

    def matrix(self, counts: NgramCounts) -> csr_matrix:
        """(n, d) float32; each sentence's words and its letters have length 1, or 0 where none of them is known."""
        from scipy.sparse import csr_matrix

        column = np.searchsorted(self.buckets, counts.bucket)
        column[column == len(self.buckets)] = 0
        known = self.buckets[column] == counts.bucket if len(self.buckets) else np.zeros(len(column), bool)
        row, column = counts.row[known], column[known]
        value = (1 + np.log(counts.count[known])) * self.rarity[column]
        family = 2 * row + (counts.bucket[known] >= self.half)
        length = np.sqrt(np.bincount(family, weights=value.astype(np.float64) ** 2, minlength=2 * counts.n))
        value = (value / length[family]).astype(np.float32)
        begin = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=counts.n))])
        return csr_matrix((value, column.astype(np.int32), begin), shape=(counts.n, len(self.buckets)))


def fit(counts: NgramCounts, *, bits: int, least: int = 2) -> Tfidf:
    """The columns and weights that the training sentences' ``counts`` give: ``ln((1 + n) / (1 + sentences)) + 1``."""
    buckets, sentences = np.unique(counts.bucket, return_counts=True)
    kept = sentences >= least
    rarity = np.log((1 + counts.n) / (1 + sentences[kept])) + 1
    return Tfidf(buckets[kept], rarity.astype(np.float32), 1 << (bits - 1))
