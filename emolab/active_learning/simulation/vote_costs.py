"""How many people a simulated campaign asks about a sample, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import ConfigError
from emolab.votes.quota import VoteQuota, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Votes:
    """Everybody gets ``wanted.low`` answers; up to ``wanted.high`` while it is not ``sure`` what a crowd would say.

    ``price`` is what the first answer to a sample costs and each further one: 1 and 1 count votes.
    """

    wanted: VoteQuota
    price: tuple[float, float] = (1.0, 1.0)
    sure: float = 0.85

    @classmethod
    def parse(cls, text: str, price: tuple[float, float] = (1.0, 1.0), *, sure: float = 0.85) -> Votes:
        """``"3"`` or ``"1..5"``. Raises :class:`ConfigError` for anything else and for prices that are none."""
        if not (0 < price[0] < np.inf and 0 <= price[1] < np.inf):
            raise ConfigError(
                f"A vote costs {price[0]:g}, a further one {price[1]:g}; expected positive numbers.",
                hint="Example: --price 1,0.5",
            )
        return cls(parse(text, name="--votes", example="--votes 1..5"), price, sure)

    @property
    def low(self) -> int:
        """Answers every sample gets."""
        return self.wanted.low

    @property
    def high(self) -> int:
        """Answers a sample gets at most."""
        return self.wanted.high

    @property
    def least(self) -> float:
        """What a sample costs at least."""
        return float(self.cost(np.array([self.low]))[0])

    def cost(self, answers: NDArray[np.int64]) -> NDArray[np.float64]:
        """What ``answers`` (m,) votes on each of m samples cost, (m,)."""
        return np.where(answers > 0, self.price[0] + self.price[1] * (answers - 1), 0.0)
