"""How many people a simulated campaign asks about a sample, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.crowd import Deck
from emolab.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: (counts (m, k) so far, answers so far, the model's probabilities (m, k) or None) -> who needs one more answer (m,).
More = Callable[["NDArray[np.int64]", int, "NDArray[np.float64] | None"], "NDArray[np.bool_]"]


@dataclass(frozen=True)
class Votes:
    """Everybody gets ``low`` answers; up to ``high`` while a rule wants more.

    ``price`` is what the first answer to a sample costs and each further one: 1 and 1 count votes.
    """

    low: int
    high: int
    price: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def parse(cls, text: str, price: tuple[float, float] = (1.0, 1.0)) -> Votes:
        """``"3"`` or ``"1..5"``. Raises :class:`ConfigError` for anything else."""
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text.strip())
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= low <= high:
            raise ConfigError(f'"{text}" is no number of votes.', hint='Write a number, "3", or a range, "1..5".')
        if min(price) < 0 or price[0] <= 0:
            raise ConfigError(f"A vote costs {price[0]:g}, a further one {price[1]:g}; expected positive numbers.")
        return cls(low, high, price)

    @property
    def adaptive(self) -> bool:
        """Whether samples may get different numbers of answers."""
        return self.high > self.low

    @property
    def least(self) -> float:
        """What a sample costs at least."""
        return float(self.cost(np.array([self.low]))[0])

    @property
    def most(self) -> float:
        """What a sample costs at most."""
        return float(self.cost(np.array([self.high]))[0])

    def cost(self, answers: NDArray[np.int64]) -> NDArray[np.float64]:
        """What ``answers`` (m,) votes on each of m samples cost, (m,)."""
        return np.where(answers > 0, self.price[0] + self.price[1] * (answers - 1), 0.0)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}" if self.adaptive else f"{self.low}"


def undecided(counts: NDArray[np.int64], answers: int, probs: NDArray[np.float64] | None) -> NDArray[np.bool_]:
    """One more answer while no class holds more than half of the opinions, the model's guess counting as one.

    Without a model, ``probs`` is ``None`` and people alone count; then one answer is no majority of anything, so
    a second is asked for.
    """
    opinions = counts.copy()
    if probs is not None:
        opinions[np.arange(len(opinions)), probs.argmax(axis=1)] += 1
    return np.asarray((2 * opinions.max(axis=1) <= answers + (probs is not None)) | (opinions.sum(axis=1) < 2))


def answered(
    deck: Deck, rows: NDArray[np.int64], votes: Votes, *, k: int, probs: NDArray[np.float64] | None, more: More
) -> NDArray[np.int64]:
    """How many answers each of the samples ``rows`` (m,) of ``deck`` gets; ``probs`` (m, k) are the model's."""
    given = np.full(len(rows), votes.low, dtype=np.int64)
    open_ = np.arange(len(rows))
    for answers in range(votes.low, votes.high):
        label = deck.label[rows[open_], :answers]
        counts = (label[:, :, None] == np.arange(k)).sum(axis=1)
        open_ = open_[more(counts, answers, None if probs is None else probs[open_])]
        if not len(open_):
            break
        given[open_] += 1
    return given
