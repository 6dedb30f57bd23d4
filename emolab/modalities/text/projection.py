"""N-grams as features of a fixed width, for whatever compares sentences with each other.

A row of TF-IDF is as wide as what was seen in training. Each bucket adds to a few of 384 features, or takes from them,
by a hash of its number (count sketch, Charikar et al. 2002): products of rows stay about what they were. Labels play
no part in it, so what is measured on these features has not learned them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.text import tfidf
from emolab.modalities.text.ngrams import NgramConfig, count_ngrams
from emolab.modalities.text.sentence import all_sentences

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: Features, and how many of them a bucket adds to or takes from.
WIDTH, EACH = 384, 4


def projected(matrix: csr_matrix, buckets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Features (n, 384) of rows (n, d) whose columns are the ``buckets`` (d,)."""
    from scipy.sparse import csr_matrix

    used, place = np.unique(matrix.indices, return_inverse=True)  # few of the columns, where there are few sentences
    matrix = csr_matrix((matrix.data, place.reshape(-1), matrix.indptr), shape=(matrix.shape[0], len(used)))
    buckets, d = buckets[used], len(used)
    hashes = _hashed(np.repeat(buckets.astype(np.uint64), EACH) * np.uint64(EACH) + np.tile(_NUMBERS, d))
    column = (hashes >> np.uint64(33)) % np.uint64(WIDTH)
    sign = np.where(hashes & np.uint64(1), np.float32(1), np.float32(-1)) / np.float32(np.sqrt(EACH))
    begin = np.arange(0, EACH * d + 1, EACH)
    sketch = csr_matrix((sign, column.astype(np.int32), begin), shape=(d, WIDTH))
    found: NDArray[np.float32] = (matrix @ sketch).toarray().astype(np.float32, copy=False)
    return found


def features_of(media: Sequence[bytes | Path]) -> NDArray[np.float32]:
    """Features (n, 384) of sentences without any model: how rare an n-gram is comes from these sentences themselves.

    Raises :class:`DataError` for one that cannot be read.
    """
    config = NgramConfig()
    counts = count_ngrams(all_sentences(media), config)
    fitted = tfidf.fit(counts, bits=config.bits)
    return projected(fitted.matrix(counts), fitted.buckets)


_NUMBERS = np.arange(EACH, dtype=np.uint64)


def _hashed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 mixed bits of each number (SplitMix64)."""
    found = numbers + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
