"""A batch within limits: so many per person or video, and no class more than its share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.select import Selection, composition, enough, select
from emolab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.active_learning.selection.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``per_group``: picks of one subject, video or session; ``balanced``: a like quota for every predicted class."""

    per_group: int | None = None
    balanced: bool = False


NO_LIMITS = Limits()


def compose(
    pool: Pool, n: int, *, strategy: str, rng: np.random.Generator, limits: Limits = NO_LIMITS
) -> Selection:  # fmt: skip
    """``n`` samples as :func:`~emolab.active_learning.selection.select.select` chooses them, within ``limits``.

    A pick beyond a limit is passed over, and the strategy is asked again with what it has picked as known and what the
    limits rule out excluded, so that diverse strategies stay diverse. When a class has fewer candidates than its quota,
    the others share what is left. Samples without a group, or without a prediction, have no limit of that kind. Raises
    :class:`DataError` when the limits leave fewer than ``n``, and as ``select`` does.
    """
    enough(pool, n)
    if limits == NO_LIMITS:
        return select(pool, n, strategy=strategy, rng=rng)
    room = _Room(pool, n, limits)
    parts: list[Selection] = []
    kept: list[NDArray[np.int64]] = []
    count = 0
    asked = strategy
    while count < n:
        seen = room.view()
        free = len(seen.candidates)
        if not free:
            if not room.widen(n - count):
                raise _too_few(pool, n, count, limits)
            continue
        found = select(seen, min(n - count, free), strategy=asked, rng=rng)
        # What was drawn at random takes its place first: its share of the batch must not depend on the other picks.
        turns = sorted(range(len(found.rows)), key=lambda i: found.strategies[i] != "random")
        positions = np.array(sorted(i for i in turns if room.take(int(found.rows[i]))), dtype=np.int64)
        parts.append(found)
        kept.append(positions)
        count += len(positions)
        if asked == strategy and found.note:  # it handed on to another one, which the rest of the batch is owed to
            others = Counter(name for name in found.strategies if name != "random")
            asked = others.most_common(1)[0][0] if others else "random"
    return _joined(pool, parts, kept, strategy=strategy)


def _joined(pool: Pool, parts: Sequence[Selection], kept: Sequence[NDArray[np.int64]], *, strategy: str) -> Selection:
    """One selection of the places ``kept`` of each of ``parts``, in their order."""
    rows = np.concatenate([part.rows[at] for part, at in zip(parts, kept, strict=True)])
    return Selection(
        strategy=strategy,
        rows=rows,
        samples=[pool.samples[row] for row in rows],
        scores=np.concatenate([part.scores[at] for part, at in zip(parts, kept, strict=True)]),
        reasons=[part.reasons[i] for part, at in zip(parts, kept, strict=True) for i in at],
        composition=composition(pool, rows),
        strategies=[part.strategies[i] for part, at in zip(parts, kept, strict=True) for i in at],
        note=parts[0].note,
    )


class _Room:
    """What the limits still allow."""

    def __init__(self, pool: Pool, n: int, limits: Limits) -> None:
        self.pool, self.limits = pool, limits
        self.group = None if pool.group is None or limits.per_group is None else pool.group
        self.by_group: Counter[int] = Counter()
        self.guess: NDArray[np.int64] | None = None
        if limits.balanced:
            if pool.probs is None:
                raise DataError(
                    "A balanced batch needs a model's predictions, and there are none.",
                    hint='Train a model with "emolab train", or leave --balance out.',
                )
            usable = np.isfinite(pool.probs).all(axis=1)
            self.guess = np.where(usable, np.where(usable[:, None], pool.probs, 0).argmax(axis=1), -1)
        self.by_class: Counter[int] = Counter()
        self.quota = n
        self.taken = np.zeros(len(pool), dtype=bool)
        if self.guess is not None:
            self.quota = 0
            self.widen(n)

    def view(self) -> Pool:
        """The pool as the strategy may see it now."""
        shut = np.zeros(len(self.pool), dtype=bool) if self.pool.excluded is None else self.pool.excluded.copy()
        if self.group is not None:
            full = [number for number, count in self.by_group.items() if count >= (self.limits.per_group or 0)]
            shut |= np.isin(self.group, full)
        if self.guess is not None:
            shut |= np.isin(self.guess, [c for c, count in self.by_class.items() if count >= self.quota])
        return self.pool.without(shut & ~self.taken).with_pending(self.pool.pending | self.taken)

    def take(self, row: int) -> bool:
        """Whether ``row`` fits; if so it is in the batch."""
        group = -1 if self.group is None else int(self.group[row])
        guess = -1 if self.guess is None else int(self.guess[row])
        if group >= 0 and self.by_group[group] >= (self.limits.per_group or 0):
            return False
        if guess >= 0 and self.by_class[guess] >= self.quota:
            return False
        self.by_group[group] += group >= 0
        self.by_class[guess] += guess >= 0
        self.taken[row] = True
        return True

    def widen(self, missing: int) -> bool:
        """Share ``missing`` picks among the classes that still have candidates; False when there are none."""
        if self.guess is None:
            return False
        quota, self.quota = self.quota, len(self.pool)
        open_classes = np.unique(self.guess[self.view().candidates])
        self.quota = quota
        known = int((open_classes >= 0).sum())
        if not known:
            return False
        self.quota += max(1, -(-missing // known))
        return True


def _too_few(pool: Pool, n: int, count: int, limits: Limits) -> DataError:
    return DataError(
        f"Only {count} of the {n} samples asked for can be chosen with at most {limits.per_group} of one group; "
        f"{len(pool.candidates):,} samples wait in all.",
        hint=f"Use -n {count}, or a larger --per-group.",
    )
