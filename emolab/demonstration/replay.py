"""The two policies of the demo replayed many times, so that a difference can be told from luck.

The same samples and the same team as in the campaigns: each person's answer to one is what they would say in Label
Studio. Only a linear head learns, on features that do not change, so a campaign takes seconds. Faces of other people
judge; nobody is asked about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.simulation.compare import CONTROL, Ratio, ratio
from emolab.active_learning.simulation.curves import Curves, curves, reach
from emolab.active_learning.simulation.oracle import ABSENT, NOTHING
from emolab.active_learning.simulation.records import SimulatedRound
from emolab.active_learning.simulation.simulate import simulate
from emolab.config import Config, TrainingConfig
from emolab.datasets.benchmark_set import EvaluationSet
from emolab.datasets.voted_dataset import Crowd, digest
from emolab.demonstration.annotators import TEAM, answer
from emolab.demonstration.data import DemoData
from emolab.demonstration.policies import EMOLAB, USUAL, Policy, plan_budgets
from emolab.loop.label.simulation.sides import Sides, sides_of
from emolab.loop.label.simulation.stage import open_stage, prepare
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Name of the curve of random faces that are asked about as emolab does: what is saved without choosing.
ASKING = "asking"
#: Principal components of the features, as in ``emolab simulate``.
WIDTH = 128


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What one way saves against the usual one: ``ratio`` in votes, at the usual way's final accuracy ``level``.

    ``votes`` and ``usual_votes`` are what the two mean curves need for it; ``votes`` is ``None`` when it is not
    reached within the budget.
    """

    ratio: Ratio
    level: float
    votes: float | None
    usual_votes: float


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What came of the campaigns, by policy: ``curves`` are accuracies, ``samples`` how many were asked about."""

    curves: Mapping[str, Curves]
    macro_f1: Mapping[str, Curves]
    samples: Mapping[str, float]
    savings: Mapping[str, Saving]
    budgets: list[float]
    seeds: int
    pool: int
    judge: int
    nouns: str = "faces"


def replay(
    folder: Path,
    policies: Mapping[str, Policy],
    data: DemoData,
    twins: Mapping[str, str],
    *,
    rounds: int,
    budget: int,
    seeds: int,
    jobs: int,
    progress: Progress = SILENT,
) -> Replay:
    """Play both policies from each of ``seeds`` starts on the samples of ``data``; what is played stays in ``folder``.

    ``budget`` is in votes per round; ``twins`` maps the file of each near copy to the one that stands for it. Also
    played is emolab's way to ask about samples that are drawn at random: it tells how much of the saving is due to the
    choice of samples.
    """
    everybody, judge = team_crowd(data), _judge(data)
    sides = _sides(data, everybody, judge, twins)
    waiting = len(np.unique(sides.duplicate[~sides.excluded]))
    budgets = plan_budgets(waiting, rounds=rounds, budget=budget, noun=data.kind.noun)
    config = TrainingConfig(mode="head", backbone=data.kind.backbone_for(data.title))
    modality = data.kind.modality
    played: dict[str, list[SimulatedRound]] = {}
    for name, strategies in ((USUAL, [CONTROL]), (EMOLAB, [CONTROL, policies[EMOLAB].strategy])):
        place = folder / name
        terms = _terms(policies[name], budgets)
        prepare(
            place, sides, terms, config, mode="frozen", width=WIDTH, modality=modality, cache=folder / "cache",
            progress=progress,
        )  # fmt: skip
        found = simulate(place, open_stage, list(dict.fromkeys(strategies)), range(seeds), jobs=jobs, progress=progress)
        played[name] = [one for one in found if one.strategy == strategies[-1]]
        if name == EMOLAB:
            played[ASKING] = [one for one in found if one.strategy == CONTROL]
    curve, macro_f1 = (
        {name: next(iter(curves(found, budgets, score).values())) for name, found in played.items()}
        for score in ("accuracy", "macro_f1")
    )
    last = {name: [one for one in found if one.number == len(budgets) - 1] for name, found in played.items()}
    return Replay(
        curves=curve,
        macro_f1=macro_f1,
        samples={name: float(np.mean([one.samples for one in found])) for name, found in last.items()},
        savings={name: saving(curve[name], curve[USUAL]) for name in (EMOLAB, ASKING)},
        budgets=budgets,
        seeds=seeds,
        pool=len(everybody.ids),
        judge=judge.n,
        nouns=data.kind.nouns,
    )


def _terms(policy: Policy, budgets: list[float]) -> dict[str, object]:
    labeling = Config().labeling
    return {
        "budgets": budgets,
        "votes": policy.votes,
        "price": [1.0, 1.0],
        "sure": labeling.sure,
        "aggregator": policy.aggregator,
        "prior": labeling.prior,
        "oracle": "people",
    }


def saving(mine: Curves, usual: Curves) -> Saving:
    """What ``mine`` saves against ``usual``; both have the same seeds."""
    level = float(usual.mean[-1])
    votes = reach(mine.costs, mine.mean, level)
    return Saving(
        ratio=ratio(mine, usual),
        level=level,
        votes=None if np.isnan(votes) else votes,
        usual_votes=reach(usual.costs, usual.mean, level),
    )


def team_crowd(data: DemoData) -> Crowd:
    """The pool with what each person of the team says about it."""
    files = sorted(path for path in data.folder.rglob("*") if path.name in data.crowd)
    media = {digest(path): path for path in files}  # the same bytes are one sample
    said = np.array([_said(sample, data.crowd[path.name], data.classes) for sample, path in media.items()])
    votes = np.stack([(said == number).sum(axis=1) for number in range(len(data.classes))], axis=1)
    return Crowd(
        spec=data.title,
        classes=data.classes,
        ids=list(media),
        names=[path.name for path in media.values()],
        media=list(media.values()),
        votes=votes.astype(np.int64),
        skips=(said < 0).sum(axis=1).astype(np.int64),
        splits=[None] * len(media),
        groups=[path.parent.name for path in media.values()],
        silent=0,
        unreadable=0,
        said=said.astype(np.int16),
    )


def _said(sample: str, crowd: Mapping[str, float], classes: tuple[str, ...]) -> list[int]:
    """Class number of what everybody of the team says."""
    labels = [answer(person, sample, crowd).label for person in TEAM]
    return [ABSENT if name is None else classes.index(name) if name in classes else NOTHING for name in labels]


def _sides(data: DemoData, everybody: Crowd, judge: EvaluationSet, twins: Mapping[str, str]) -> Sides:
    """Who is asked and who judges. Made samples that judge are of other people, so they are no near copies of any."""
    asked, judges = np.arange(len(everybody.ids)), np.arange(judge.n)
    if not data.drawn:
        return sides_of(everybody, asked, judge, judges)
    leader = [twins.get(name, name) for name in everybody.names]
    _, first, which = np.unique(leader, return_index=True, return_inverse=True)
    return Sides(
        pool=everybody,
        asked=asked,
        excluded=np.zeros(len(asked), dtype=bool),
        duplicate=first[which],
        judge=judge,
        judges=judges,
    )


def _judge(data: DemoData) -> EvaluationSet:
    k, truth = len(data.classes), data.truth
    sure: NDArray[np.float32] = np.eye(k, dtype=np.float32)[truth]
    return EvaluationSet(
        spec=data.title,
        classes=data.classes,
        names=[name for name, _ in data.judge],
        media=[media for _, media in data.judge],
        targets=truth.astype(np.int16),
        distributions=sure,
        votes=sure.astype(np.int32),
        supported=np.ones(k, dtype=bool),
        protocol=f"{data.kind.nouns} of other people, each with a clear majority",
        dropped={},
        splits=(),
    )
