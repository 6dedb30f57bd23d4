"""What selection sees: samples as columns, and which of them may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Picks(NamedTuple):
    """What a strategy answers: rows of the pool, best first, their scores, and why (optional, one text per row).

    ``note`` is what there is to say of the whole choice, in a sentence; ``strategies`` names for each pick the strategy
    it is owed to, where one hands on to others. A plain tuple (rows, scores) does as well.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    reasons: Sequence[str] = ()
    note: str = ""
    strategies: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """n samples, by columns in any order.

    ``labelled`` (n,): somebody has voted; ``pending`` (n,): suggested or sent, not answered yet; ``excluded`` (n,): not
    to be chosen for other reasons (validation, test). ``duplicate`` (n,): rows with the same number show the same
    thing; the row whose own number it is stands for them. ``votes`` (n,) people; ``group`` (n,) subject, video or
    session, -1 for none. ``probs`` (n, k) rows sum to 1 and ``embeddings`` (n, d), possibly memory-mapped float16,
    are the model's; rows that contain NaN mean that the model has no answer; ``None`` that there is no model.
    ``draws`` (t, n, k) are what t random versions of the model would say, which ``bald`` compares.
    ``targets`` (n, k) are label distributions of the labelled rows, NaN elsewhere; ``unlearned`` (n, e) features of
    labelled rows by a backbone that has not learned from their labels, NaN where there are none.
    """

    samples: Sequence[str]
    labelled: NDArray[np.bool_]
    pending: NDArray[np.bool_]
    excluded: NDArray[np.bool_] | None = None
    duplicate: NDArray[np.integer[Any]] | None = None
    votes: NDArray[np.int32] | None = None
    group: NDArray[np.int32] | None = None
    probs: NDArray[np.floating[Any]] | None = None
    embeddings: NDArray[np.floating[Any]] | None = None
    draws: NDArray[np.floating[Any]] | None = None
    targets: NDArray[np.floating[Any]] | None = None
    unlearned: NDArray[np.floating[Any]] | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """n."""
        return len(self.samples)

    def with_pending(self, pending: NDArray[np.bool_]) -> Pool:
        """The same pool with other samples pending."""
        return replace(self, pending=pending)

    def without(self, excluded: NDArray[np.bool_]) -> Pool:
        """The same pool with exactly these samples excluded."""
        return replace(self, excluded=excluded)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Rows in the order of their sample ids: what makes an answer independent of how rows are stored."""
        return np.array(sorted(range(len(self)), key=self.samples.__getitem__), dtype=np.int64)

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Rows that have been asked about (labelled or pending), by sample id."""
        return self.order[(self.labelled | self.pending)[self.order]]

    @cached_property
    def candidates(self) -> NDArray[np.int64]:
        """Rows that may be chosen, by sample id: free ones, and of each duplicate group one, if none of it is known."""
        free = ~(self.labelled | self.pending)
        if self.excluded is not None:
            free &= ~self.excluded
        rows = self.order[free[self.order]]
        if self.duplicate is None:
            return rows
        taken = np.unique(self.duplicate[self.labelled | self.pending])
        rows = rows[~np.isin(self.duplicate[rows], taken)]
        stands_behind = self.duplicate[rows] != rows
        first = np.argsort(stands_behind, kind="stable")
        _, kept = np.unique(self.duplicate[rows[first]], return_index=True)
        return rows[np.sort(first[kept])]
