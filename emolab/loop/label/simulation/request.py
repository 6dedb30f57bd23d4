"""Which campaigns are replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SimulationRequest:
    """Which campaigns are replayed: of each of ``strategies`` (random always takes part), for each of ``seeds``.

    ``dataset`` and ``judge`` are ``READER:PATH``; ``judge`` defaults to the split held out furthest, or a quarter.
    ``budget`` and ``start`` are votes, ``per_round`` too, where rounds are not to grow by a factor. ``votes`` per
    sample are a number or a range, ``price`` what the first costs and each further one. ``oracle``: counted, shares or
    team. ``mode``: frozen features, of which ``features`` components are used, or finetune. ``ceiling`` also labels
    everything. With ``relearn`` every round is also left half-way, in its order and in one that is renewed after so
    many votes (0: not). ``allow_speaker_leak`` lets speakers be asked about and
    judge. ``out`` is the folder of rounds and report.
    """

    dataset: str
    judge: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    strategies: Sequence[str] = ("random", "margin")
    seeds: int = 10
    budget: int | None = None
    start: int | None = None
    rounds: int = 8
    per_round: int | None = None
    votes: str = "1"
    price: str = "1,1"
    oracle: str = "counted"
    aggregator: str | None = None
    mode: str = "frozen"
    features: int = 128
    ceiling: bool = True
    allow_speaker_leak: bool = False
    relearn: int = 0
    jobs: int = 1
    out: Path = Path("simulation")
