"""The nouns of a simulated campaign: what it is played on, under which terms, what learns, and a round that is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict

from emolab.active_learning.simulation.vote_costs import Votes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class CampaignData:
    """A voted data set to campaign on: n samples and everything people said about them.

    ``votes`` (n, k) people per class, ``skips`` (n,) people who named none; ``excluded`` (n,) not to be asked about
    (near copies of judged ones); ``duplicate`` and ``group`` (n,) as in :class:`Pool`.
    ``said`` (n, p), where people are known by name: the class number that each of p people names, ``NOTHING`` for an
    answer that names none, ``ABSENT`` for a person who gives no answer.
    """

    samples: Sequence[str]
    classes: tuple[str, ...]
    votes: NDArray[np.int64]
    skips: NDArray[np.int64]
    excluded: NDArray[np.bool_] | None = None
    duplicate: NDArray[np.int64] | None = None
    group: NDArray[np.int32] | None = None
    said: NDArray[np.int16] | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What every campaign of a comparison shares.

    ``budgets``: cost of everything asked up to the end of each round, rising; the first one buys the random samples
    that all begin with. ``aggregator`` is a registered one with ``options`` of its kind (``None``: its own defaults),
    ``oracle`` as in :mod:`emolab.active_learning.simulation.oracle`. With ``relearn`` every round is also played with
    a queue that is put into a new order after so many votes (0: it is not).
    """

    budgets: tuple[float, ...]
    votes: Votes
    aggregator: str = "soft"
    options: Any = None
    oracle: str = "counted"
    relearn: int = 0


class SimulatedModel(NamedTuple):
    """A model at work: ``probs`` (n, k) and ``embeddings`` (n, d) of all samples, ``scores`` what the judge says."""

    probs: Floats
    embeddings: Floats
    scores: Mapping[str, float]


class Trainer(Protocol):
    """What learns in a campaign. Same seed, rows and targets: same answer, however often it was called before."""

    def settle(self, rows: NDArray[np.int64], targets: Floats) -> None:
        """Choose whatever is to be chosen, on the first samples only; called once, before anything else."""

    def __call__(self, rows: NDArray[np.int64], targets: Floats) -> SimulatedModel:
        """Learn from the samples ``rows`` (m,) of the field with distributions ``targets`` (m, k)."""


class Stop(TypedDict):
    """What is learned by a team that leaves a round after ``share`` of its votes: ``votes`` in all, up to then.

    ``fixed`` and ``relearned`` are the judge's scores: with the order of the round, and with one that was renewed.
    """

    share: float
    votes: int
    fixed: dict[str, float]
    relearned: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SimulatedRound:
    """A round that is over: ``rows`` (m,) were asked about, ``answers`` (m,) times each.

    ``cost``, ``votes`` and ``samples`` count everything up to now, the first samples included. ``composition`` (k,) are
    people's opinions about the new samples, in samples; ``doubt`` is the mean share of people who disagree with the
    leading opinion on them. ``select_s`` and ``train_s`` are CPU seconds. ``stops`` are there with ``Terms.relearn``.
    """

    strategy: str
    seed: int
    number: int
    rows: list[int]
    answers: list[int]
    cost: float
    votes: int
    samples: int
    scores: dict[str, float]
    composition: list[float]
    doubt: float
    select_s: float
    train_s: float
    stops: list[Stop] = field(default_factory=list)
