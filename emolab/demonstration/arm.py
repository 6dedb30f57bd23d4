"""One campaign of the demo, round by round through the real Label Studio: choose, ask, ask again, learn, be judged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.catalog import samples, tallies
from emolab.demonstration.annotators import Annotator, answer_queue
from emolab.demonstration.data import DemoData
from emolab.demonstration.kinds.demo_kind import file_of
from emolab.demonstration.policies import Policy
from emolab.labeling.labels.aggregate import aggregate
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.revotes import propose_revotes
from emolab.loop.label.suggest import Proposal, suggest
from emolab.progress import Progress, Wordless
from emolab.records import Model
from emolab.stats.metrics import summary
from emolab.votes.quota import parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.labeling.label_studio.client import Studio
    from emolab.workspace import Workspace

#: The team: each person with a client of their own.
Seats = Sequence[tuple[Annotator, "Studio"]]


@dataclass(frozen=True, kw_only=True)
class Point:
    """The state of an arm after a round: ``votes`` counts every answer given so far, meta labels too.

    ``doubtful`` samples still wanted one more opinion: where votes are left over, there are none.
    """

    round: int
    votes: int
    doubtful: int
    labelled: int
    accuracy: float
    macro_f1: float
    ece: float
    seconds: float


@dataclass(kw_only=True)
class Arm:
    """One way to spend votes: its workspace, its Label Studio project, its learning curve and what it proposed.

    ``judged`` (m, k) are the newest model's probabilities for the judge's samples, ``report`` its figures.
    """

    policy: Policy
    workspace: Workspace
    studio: Studio
    curve: list[Point] = field(default_factory=list)
    rounds: list[Proposal] = field(default_factory=list)
    model: Model | None = None
    judged: NDArray[np.float32] | None = None
    report: Mapping[str, Any] = field(default_factory=dict)


def play_round(
    arm: Arm, number: int, data: DemoData, team: Seats, *, budget: int, seed: int, progress: Progress
) -> Point:
    """Spend what round ``number`` has of ``budget`` votes a round, train, and judge.

    As many samples are chosen as the votes will pay for, at the votes per sample so far. Where the policy asks again in
    doubt, the most doubtful ones come first, as long as votes are left. The first round is drawn at random, as there
    is no model yet.
    """
    started = time.monotonic()
    progress = Wordless(progress)  # a line per round says more than the notes of every command in it
    policy = arm.policy
    n = _affordable(arm, number * budget)
    strategy = "random" if number == 1 else policy.strategy
    arm.rounds.append(suggest(arm.workspace, n=n, strategy=strategy, seed=seed, progress=progress))
    _ask(arm, data, team, total=n * parse(policy.votes).low, progress=progress)
    doubtful = 0
    if parse(policy.votes).adaptive:
        while (left := number * budget - _given(arm.workspace)[0]) > 0 and (
            again := propose_revotes(arm.workspace, most=left)
        ):
            _ask(arm, data, team, total=again, progress=progress)
        doubtful = propose_revotes(arm.workspace, dry_run=True)
    aggregate(arm.workspace)
    _learn(arm, data, progress)
    votes, labelled = _given(arm.workspace)
    point = Point(
        round=number,
        votes=votes,
        doubtful=doubtful,
        labelled=labelled,
        accuracy=arm.report["accuracy"],
        macro_f1=arm.report["macro_f1"],
        ece=arm.report["ece"],
        seconds=time.monotonic() - started,
    )
    arm.curve.append(point)
    return point


def _affordable(arm: Arm, budget: int) -> int:
    """How many samples the votes that are left of ``budget`` pay for; one at least."""
    votes, labelled = _given(arm.workspace)
    each = votes / labelled if labelled else arm.policy.expected
    return max(1, int((budget - votes) / each + 1e-9))


def _given(workspace: Workspace) -> tuple[int, int]:
    """Answers given so far, and the samples they are about."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        counted = tallies.count(conn)
        return counted["people"] + counted["meta"], samples.count_answered(conn)


def _ask(arm: Arm, data: DemoData, team: Seats, *, total: int, progress: Progress) -> None:
    """Send what was proposed, let the team answer, and take the answers home."""
    sent = push(arm.workspace, arm.studio, suggestions=True, progress=progress)
    remote = arm.studio.find_project(sent.project)
    if remote is None:
        raise LookupError(sent.project)
    answer_queue(team, remote.id, _crowd(arm.workspace, data), progress=progress, total=total)
    pull(arm.workspace, arm.studio, progress=progress)


def _learn(arm: Arm, data: DemoData, progress: Progress) -> None:
    """Train on the current labels, promote the model, and let the judge's samples speak."""
    from emolab.loop.model.predicting.pool_predictions import answers_of
    from emolab.loop.model.registry.promote import promote
    from emolab.loop.model.train import train

    arm.model = train(arm.workspace, progress=progress).model
    promote(arm.workspace, arm.model.id, reason="the newest model of this campaign")
    arm.judged = answers_of(arm.workspace.root / arm.model.path, data.judge)
    arm.report = summary(arm.judged, data.truth, data.classes)


def _crowd(workspace: Workspace, data: DemoData) -> dict[str, Mapping[str, float]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return {
            sample.id: data.crowd[file_of(sample.name)]
            for sample in samples.iterate(conn)
            if sample.name is not None and file_of(sample.name) in data.crowd
        }
