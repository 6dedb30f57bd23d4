"""A fair part of a pool that is too large to look at as a whole."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.pool import Pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Candidates whose embeddings a strategy looks at; of more, so many stand for all.
MOST = 1_000_000


def thin(pool: Pool, most: int) -> Pool:
    """The same pool with no more than ``most`` candidates, the others excluded; the pool itself if it has no more.

    Which ones stay depends on their ids alone: the same in every round, for every seed and order of rows.
    """
    rows = pool.candidates
    if len(rows) <= most:
        return pool
    excluded = np.ones(len(pool), dtype=bool)
    excluded[rows[by_checksum(pool.samples, rows)[:most]]] = False
    part = replace(pool, excluded=excluded)
    vars(part)["order"] = pool.order  # sorting millions of ids again would take longer than choosing
    return part


def by_checksum(samples: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in ``rows``, shuffled by a checksum of the sample ids: any beginning of it is a fair sample of all."""
    checksum = np.fromiter((zlib.crc32(samples[row].encode()) for row in rows), dtype=np.uint32, count=len(rows))
    return checksum.argsort(kind="stable")
