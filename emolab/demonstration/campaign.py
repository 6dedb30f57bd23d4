"""The demo's campaign: one team, two ways to choose what they see, round by round through the real Label Studio."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.catalog import models, samples, settings, tallies
from emolab.config import FILE_NAME
from emolab.datasets.collect.collect import CollectRequest, collect
from emolab.datasets.near_copies import groups
from emolab.demonstration.annotators import TEAM, Annotator, answer_queue
from emolab.demonstration.data import DemoData
from emolab.files import write_text
from emolab.labeling.answers.pseudonyms import pseudonym
from emolab.labeling.label_studio.accounts import create_annotator
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.labels.aggregate import aggregate
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.suggest import Proposal, suggest
from emolab.progress import SILENT, Progress, Wordless
from emolab.records import Model
from emolab.stats.metrics import summary
from emolab.training.predict import load, predict_media
from emolab.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The two arms: how each chooses after the first, random round they have in common.
CHOSEN, RANDOM = "suggest", "random"
#: Readers whose faces taught ``face48``.
LEARNED_FROM = ("ferplus", "fer2013")


@dataclass(frozen=True, kw_only=True)
class Point:
    """The state of an arm after a round: ``votes`` counts every answer given so far, meta labels too."""

    round: int
    votes: int
    labelled: int
    accuracy: float
    macro_f1: float
    ece: float
    seconds: float


@dataclass(kw_only=True)
class Arm:
    """One way to choose: its workspace, its Label Studio project, its learning curve and what it proposed.

    ``judged`` (m, k) are the newest model's probabilities for the judge's faces, ``report`` its figures.
    """

    name: str
    strategy: str
    workspace: Workspace
    studio: Studio
    curve: list[Point] = field(default_factory=list)
    rounds: list[Proposal] = field(default_factory=list)
    model: Model | None = None
    judged: NDArray[np.float32] | None = None
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What happened. ``people`` maps the pseudonym of each annotator to who they are."""

    data: DemoData
    arms: Mapping[str, Arm]
    people: Mapping[str, Annotator]
    per_round: int
    overlap: int
    seconds: float


Say = Callable[[str], None]


def run(
    folder: Path,
    data: DemoData,
    *,
    rounds: int,
    per_round: int,
    overlap: int,
    seed: int,
    strategy: str,
    say: Say,
    progress: Progress = SILENT,
) -> Campaign:
    """Label ``rounds`` x ``per_round`` samples twice, chosen by ``strategy`` and at random, and judge after each.

    The first round is random for both (there is no model yet). Everything goes the way a real team's work goes:
    collect, push, five users answering the queue, pull, aggregate, train, suggest.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        home, other = (_workspace(folder / name, data) for name in (CHOSEN, RANDOM))
        server = EmbeddedServer(home)
        stack.callback(server.stop)
        coming = stack.enter_context(ThreadPoolExecutor(1)).submit(server.start)
        _collect(home, data, progress, say)
        _collect(other, data, SILENT, None)
        with _step("Label Studio is up", say), progress.task("Waiting for Label Studio"):
            url = coming.result().server.url
        team = [(person, stack.enter_context(studio)) for person, studio in _seats(url, server.token(), say)]
        arms = {
            name: Arm(
                name=name,
                strategy=chosen,
                workspace=workspace,
                studio=stack.enter_context(connect(url, server.token())),
            )
            for name, chosen, workspace in ((CHOSEN, strategy, home), (RANDOM, "random", other))
        }
        for number in range(1, rounds + 1):
            say(f"\n[bold]Round {number} of {rounds}[/]")
            for arm in arms.values():
                _round(arm, number, data, team, n=per_round, overlap=overlap, seed=seed, progress=progress)
                say(_line(arm))
        people = _people(home)
    return Campaign(
        data=data,
        arms=arms,
        people=people,
        per_round=per_round,
        overlap=overlap,
        seconds=time.monotonic() - began,
    )


def _workspace(root: Path, data: DemoData) -> Workspace:
    """A workspace that solves the head of ``face48``: the best start for a few hundred labels, within seconds.

    Faces that ``face48`` itself learned from would flatter it: there ``hog``, which has learned nothing, stands in.
    """
    backbone = 'backbone = "hog"\n' if data.title in LEARNED_FROM else ""
    settings = f'\n[collect]\nfaces = "off"\n\n[training]\nmode = "head"\n{backbone}'
    made = Workspace.init(root, classes=data.classes, name=f"demo {root.name}")
    file = root / FILE_NAME
    write_text(file, file.read_text(encoding="utf-8") + settings)
    return Workspace.open(made.root)


def _collect(workspace: Workspace, data: DemoData, progress: Progress, say: Say | None) -> None:
    started = time.monotonic()
    with workspace.catalog() as catalog:
        wanted = CollectRequest(paths=[str(data.photos)], group_by="folder", consent="drawn or public, for the demo")
        found = collect(workspace, catalog, wanted, progress=progress)
        compared = groups.find(workspace, catalog, progress=progress)
        with catalog.begin() as tx:
            twins = groups.mark(tx, compared)
    if say is not None:
        report = found.report
        say(
            f"[green]✓[/] collected {report.added + report.existing + report.skipped:,} faces"
            f" [dim]({twins.surplus:,} near copies set aside, {time.monotonic() - started:.0f} s)[/]"
        )


def _people(workspace: Workspace) -> dict[str, Annotator]:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        secret = settings.secret(tx)
    return {pseudonym(secret, _address(person)): person for person in TEAM}


def _address(person: Annotator) -> str:
    return f"{person.name}@demo.example"


def _seats(url: str, token: str, say: Say) -> Iterator[tuple[Annotator, Studio]]:
    with _step(f"{len(TEAM)} annotators signed up", say), connect(url, token) as admin:
        seats = []
        for person in TEAM:
            key = create_annotator(admin, _address(person), secrets.token_urlsafe(18))
            seats.append((person, connect(url, key)))
    yield from seats


def _round(
    arm: Arm,
    number: int,
    data: DemoData,
    team: Sequence[tuple[Annotator, Studio]],
    *,
    n: int,
    overlap: int,
    seed: int,
    progress: Progress,
) -> None:
    from emolab.loop.model.train import train

    started = time.monotonic()
    progress = Wordless(progress)  # a line per round says more than the notes of every command in it
    strategy = "random" if number == 1 else arm.strategy
    arm.rounds.append(suggest(arm.workspace, n=n, strategy=strategy, revotes=0.0, seed=seed, progress=progress))
    sent = push(arm.workspace, arm.studio, suggestions=True, overlap=overlap, progress=progress)
    crowd = _crowd(arm.workspace, data)
    remote = arm.studio.find_project(sent.project)
    if remote is None:
        raise LookupError(sent.project)
    answer_queue(team, remote.id, crowd, progress=progress, total=n * overlap)
    pull(arm.workspace, arm.studio, progress=progress)
    aggregate(arm.workspace)
    arm.model = train(arm.workspace, progress=progress).model
    with arm.workspace.catalog() as catalog, catalog.begin() as tx:
        models.set_alias(tx, "champion", arm.model.id)
    arm.judged = np.stack(
        [
            answer.probs
            for answer in predict_media(load(arm.workspace.root / arm.model.path), data.judge)
            if answer.probs is not None
        ]
    )
    arm.report = summary(arm.judged, data.truth, data.classes)
    with arm.workspace.catalog() as catalog, catalog.connect() as conn:
        counted = tallies.count(conn)
        labelled = samples.count_answered(conn)
    arm.curve.append(
        Point(
            round=number,
            votes=counted["people"] + counted["meta"],
            labelled=labelled,
            accuracy=arm.report["accuracy"],
            macro_f1=arm.report["macro_f1"],
            ece=arm.report["ece"],
            seconds=time.monotonic() - started,
        )
    )


def _crowd(workspace: Workspace, data: DemoData) -> dict[str, Mapping[str, float]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return {
            sample.id: data.crowd[Path(sample.name).name]
            for sample in samples.iterate(conn)
            if sample.name is not None and Path(sample.name).name in data.crowd
        }


def _line(arm: Arm) -> str:
    point = arm.curve[-1]
    colour = "cyan" if arm.name == CHOSEN else "yellow"
    how = "random start" if point.round == 1 else arm.strategy
    return (
        f"  [{colour}]{arm.name:<8}[/] {point.votes:>5,} votes on {point.labelled:>4,} faces   "
        f"accuracy [bold]{point.accuracy:6.1%}[/]   macro-F1 [bold]{point.macro_f1:.3f}[/]   "
        f"[dim]{how}, {point.seconds:.0f} s[/]"
    )


@contextmanager
def _step(text: str, say: Say) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"[green]✓[/] {text} [dim]({time.monotonic() - started:.0f} s)[/]")
