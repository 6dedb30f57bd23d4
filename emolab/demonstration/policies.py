"""The two ways to spend votes that the demo compares, in the words of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from emolab.config import Config
from emolab.errors import DataError
from emolab.votes.quota import parse
from emolab.words import many

#: Names of the two, also of their workspaces' folders.
USUAL, EMOLAB = "usual", "emolab"
#: People per sample: always so many, or from one up to as many where in doubt.
ALWAYS, IN_DOUBT = "3", "1..3"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How samples are chosen, how many people see each, and how votes become labels: names that the settings know."""

    name: str
    title: str
    strategy: str
    votes: str
    aggregator: str

    @property
    def expected(self) -> float:
        """Votes per sample to reckon with before any was given."""
        wanted = parse(self.votes)
        return (wanted.low + wanted.high) / 2

    @property
    def settings(self) -> str:
        """The lines of ``emolab.toml`` that make a workspace work in this way."""
        return (
            f'\n[labeling]\nvotes = "{self.votes}"\naggregator = "{self.aggregator}"\n'
            f'\n[suggest]\nstrategy = "{self.strategy}"\n'
        )


def usual() -> Policy:
    """Random samples, three votes on each, the majority counts."""
    return Policy(name=USUAL, title="the usual way", strategy="random", votes=ALWAYS, aggregator="majority")


def emolab(strategy: str | None = None) -> Policy:
    """Samples as ``emolab suggest`` chooses them, asked again where in doubt, labels by emolab's default.

    Everything is as emolab's settings are without a change; ``strategy`` names another one.
    """
    default = Config()
    return Policy(
        name=EMOLAB,
        title="emolab",
        strategy=strategy or default.suggest.strategy,
        votes=IN_DOUBT,
        aggregator=default.labeling.aggregator,
    )


def plan_budgets(pool: int, *, rounds: int, budget: int, noun: str = "face") -> list[float]:
    """Votes spent after each round of the replay, from the size of the pool alone: rounds of ``budget`` votes.

    They end when about as many votes are spent as there are samples, and no earlier than the campaigns. Raises
    :class:`DataError` for a pool that is too small for them.
    """
    if rounds * budget > pool:
        raise DataError(
            f"The pool has {many(pool, noun)}, and {many(rounds, 'round')} of {budget} votes may ask about more.",
            hint=f"Name a larger one: --pool {2 * rounds * budget}",
        )
    return [float(budget * (number + 1)) for number in range(pool // budget)]
