"""Which settings to try next, and with how much work: successive halving, one step at a time.

1. New settings get a small share of the work (rung 0).
2. Of those that were tried on a rung the best third goes on to the next one, with about three times the work.
3. It is always the highest promotion possible that is made next; where there is none, new settings are drawn.

So bad settings cost little, and there is a best one at any moment. With a fixed number of settings this is successive
halving (Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization"); without,
it is its asynchronous form (Li et al. 2018, "Massively parallel hyperparameter tuning", ASHA) for one worker. Hyperband
(Li et al. 2018) would run it with several starting shares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: One of so many goes on.
ETA = 3


@dataclass(frozen=True, slots=True)
class Move:
    """Try the settings number ``trial`` on ``rung``."""

    trial: int
    rung: int


def next_move(losses: Mapping[int, Sequence[float]], *, rungs: int, drawn: int, closing: bool = False) -> Move | None:
    """The next step of a search whose trials have ``losses`` by rung, of which lower is better; ``None`` at its end.

    ``drawn`` trials there are at most, numbered from 0. ``closing`` draws none any more and brings the best of each
    rung up, however few were tried on it. A trial whose loss is infinite goes no further.

    >>> next_move({0: [0.4], 1: [0.2], 2: [0.3]}, rungs=2, drawn=9)
    Move(trial=1, rung=1)
    >>> next_move({0: [0.4], 1: [0.2]}, rungs=2, drawn=9)
    Move(trial=2, rung=0)
    """
    fresh = next((trial for trial in range(drawn) if trial not in losses), None)
    last = closing or fresh is None
    for rung in reversed(range(rungs - 1)):
        there = sorted((found[rung], trial) for trial, found in losses.items() if len(found) > rung)
        n = max(1, len(there) // ETA) if last else len(there) // ETA
        for loss, trial in there[:n]:
            if len(losses[trial]) == rung + 1 and math.isfinite(loss):
                return Move(trial, rung + 1)
    return None if last or fresh is None else Move(fresh, 0)


def best(losses: Mapping[int, Sequence[float]], *, rungs: int) -> int | None:
    """The trial with the lowest loss on the highest rung; ``None`` where none got there."""
    there = [(found[-1], trial) for trial, found in losses.items() if len(found) == rungs and math.isfinite(found[-1])]
    return min(there)[1] if there else None
