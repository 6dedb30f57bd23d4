"""What settings may be tried: values by name, drawn by a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Significant digits of a drawn number, so that it can be copied.
DIGITS = 3


@dataclass(frozen=True)
class OneOf:
    """One of ``values``, each as likely."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """One of them."""
        return self.values[int(rng.integers(len(self.values)))]


@dataclass(frozen=True)
class Between:
    """A number from ``low`` to ``high``; with ``log`` its order of magnitude is what is drawn evenly."""

    low: float
    high: float
    log: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """A number of :data:`DIGITS` digits."""
        if self.log:
            found = float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        else:
            found = float(rng.uniform(self.low, self.high))
        return min(self.high, max(self.low, float(f"{found:.{DIGITS}g}")))


#: Name of a setting -> what it may be.
SearchSpace = Mapping[str, OneOf | Between]
#: Where the first setting has this value, only those named with it count.
Alone = Mapping[str, tuple[Any, Sequence[str]]]
#: Draws that only repeat what was drawn before, after which there is nothing new.
VAIN = 50


def drawn(space: SearchSpace, n: int, *, seed: int, alone: Alone | None = None) -> list[dict[str, Any]]:
    """The first ``n`` different combinations by ``seed``; fewer where there are no more.

    The first of them do not depend on ``n``. ``alone`` says which settings count at all beside one value of another.

    >>> drawn({"size": OneOf((8, 16))}, 5, seed=0)
    [{'size': 16}, {'size': 8}]
    """
    rng = np.random.default_rng([seed, 20])
    found: list[dict[str, Any]] = []
    vain = 0
    while len(found) < n and vain < VAIN and space:
        one = {name: values.draw(rng) for name, values in space.items()}
        for name, (value, heeded) in (alone or {}).items():
            if one.get(name) == value:
                one = {key: drawn for key, drawn in one.items() if key == name or key in heeded}
        vain = vain + 1 if one in found else 0
        if not vain:
            found.append(one)
    return found
