"""How many votes a replayed campaign spends by the end of each round."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.active_learning.simulation.vote_costs import Votes

#: First samples and the budget where none are named: votes per class, and times the first samples.
START, TIMES = 10, 16


def plan_budgets(
    asking: Votes,
    *,
    k: int,
    most: float,
    start: int | None,
    budget: int | None,
    rounds: int,
    per_round: int | None,
) -> list[float]:
    """Votes spent at the end of each round, rising: by a fixed factor, or by ``per_round``.

    ``k`` classes and what all samples are worth (``most``) decide what is not given: half of that at most, for where
    everything is asked about all strategies end alike. Raises :class:`ConfigError` for a budget below the start.
    """
    from math import ceil

    from emolab.errors import ConfigError

    begin = float(start or START * k * asking.least)
    last = float(budget or min(TIMES * begin, int(most) // 2))
    if last <= begin and budget is None:
        raise ConfigError(
            f"The pool is worth {most:,.0f} votes; half of it is not larger than the start of {begin:,.0f}.",
            hint=f"Lower --start, for example to {max(int(most) // 8, ceil(asking.least))}; or name a --budget.",
        )
    if last <= begin:
        raise ConfigError(
            f"The budget of {last:,.0f} is not larger than the start of {begin:,.0f}.",
            hint="Raise --budget or lower --start.",
        )
    if per_round:
        steps = [begin]
        while steps[-1] + per_round < last:
            steps.append(steps[-1] + per_round)
        return [*steps, last]
    factor = (last / begin) ** (1 / rounds)
    found = [float(round(begin * factor**number)) for number in range(rounds)]
    return sorted({*found, last})
