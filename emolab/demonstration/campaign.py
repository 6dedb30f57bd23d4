"""The demo's two campaigns: one team, one real Label Studio, two ways to spend the same votes."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emolab import config as configuration
from emolab.catalog import pool_columns, samples, settings
from emolab.datasets.collect.collect import CollectRequest, collect
from emolab.datasets.near_copies import groups
from emolab.demonstration.annotators import TEAM, Annotator
from emolab.demonstration.arm import Arm, Point, play_round
from emolab.demonstration.data import DemoData, Source
from emolab.demonstration.kinds.demo_kind import file_of
from emolab.demonstration.policies import EMOLAB, Policy
from emolab.files import write_text
from emolab.labeling.answers.pseudonyms import pseudonym
from emolab.labeling.label_studio.accounts import create_annotator
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server.embedded import EmbeddedServer, Started
from emolab.progress import SILENT, Progress
from emolab.words import many
from emolab.workspace import Workspace

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Campaigns:
    """What happened, by the name of the policy. ``people`` maps the pseudonym of each annotator to who they are."""

    data: DemoData
    arms: Mapping[str, Arm]
    people: Mapping[str, Annotator]
    budget: int


@contextmanager
def starting(home: Workspace) -> Iterator[Future[Started]]:
    """A Label Studio that comes up while other things are done; stopped at the end, whatever happens."""
    with ExitStack() as stack:
        server = EmbeddedServer(home)
        stack.callback(server.stop)
        yield stack.enter_context(ThreadPoolExecutor(1)).submit(server.start)


def run(
    policies: Mapping[str, Policy],
    workspaces: Mapping[str, Workspace],
    data: DemoData,
    coming: Future[Started],
    *,
    rounds: int,
    budget: int,
    seed: int,
    say: Say,
    progress: Progress = SILENT,
) -> Campaigns:
    """Spend ``rounds`` x ``budget`` votes by each of ``policies``, and judge after every round.

    Everything goes the way a real team's work goes: push, five users answering the queue, pull, aggregate, train,
    suggest.
    """
    home = workspaces[EMOLAB]
    with ExitStack() as stack:
        with step("Label Studio is up", say), progress.task("Waiting for Label Studio"):
            url = coming.result().server.url
        token = EmbeddedServer(home).token()
        team = [(person, stack.enter_context(studio)) for person, studio in _seats(url, token, say)]
        arms = {
            name: Arm(policy=policy, workspace=workspaces[name], studio=stack.enter_context(connect(url, token)))
            for name, policy in policies.items()
        }
        for number in range(1, rounds + 1):
            say(f"\n[bold]Round {number} of {rounds}[/] [dim]{many(budget, 'vote')} each[/]")
            for arm in arms.values():
                point = play_round(arm, number, data, team, budget=budget, seed=seed, progress=progress)
                say(_line(arm.policy, point, data.kind.nouns))
        people = _people(home)
    return Campaigns(data=data, arms=arms, people=people, budget=budget)


def workspace(root: Path, chosen: Source, policy: Policy) -> Workspace:
    """A workspace that works by ``policy`` and solves the head of a network, or what its modality has by itself.

    Either is a good start, within seconds.

    Samples that the network itself learned from would flatter it: there one that has learned nothing stands in.
    """
    kind = chosen.kind
    made = Workspace.init(root, classes=chosen.classes, name=f"demo {root.name}", modality=kind.modality)
    file = root / configuration.FILE_NAME
    own = dict(kind.settings)
    if backbone := kind.backbone_for(chosen.title):
        own["training"] = f'mode = "head"\nbackbone = "{backbone}"'
    more = "".join(f"\n[{section}]\n{lines}\n" for section, lines in own.items())
    write_text(file, configuration.render(made.config.project, {}) + more + policy.settings)
    return Workspace.open(made.root)


def collect_samples(
    home: Workspace, others: list[Workspace], data: DemoData, *, say: Say, progress: Progress
) -> dict[str, str]:
    """Take the samples into ``home``; ``others``, which are empty, get a copy of what came of it.

    Returns the files of near copies, each with the file that stands for it.
    """
    started = time.monotonic()
    with home.catalog() as catalog:
        wanted = CollectRequest(paths=[str(data.folder)], group_by="folder", consent="drawn or public, for the demo")
        report = collect(home, catalog, wanted, progress=progress).report
        compared = groups.find(home, catalog, progress=progress)
        with catalog.begin() as tx:
            twins = groups.mark(tx, compared)
            columns = pool_columns.read(tx)
            files = {sample.id: file_of(sample.name or "") for sample in samples.iterate(tx)}
    for other in others:
        shutil.copytree(home.state, other.state, dirs_exist_ok=True, ignore=_not_samples)
    say(
        f"[green]✓[/] collected {report.added + report.existing + report.skipped:,} {data.kind.nouns}"
        f" [dim]({twins.surplus:,} near copies set aside, {time.monotonic() - started:.0f} s)[/]"
    )
    return {
        files[sample]: files[columns.ids[leader]]
        for sample, leader in zip(columns.ids, columns.duplicate.tolist(), strict=True)
        if columns.ids[leader] != sample
    }


def _not_samples(_: str, names: list[str]) -> list[str]:
    """What the other workspace does not share: the server, its logs, and locks."""
    return [name for name in names if name in ("studio", "logs", "locks")]


def _people(home: Workspace) -> dict[str, Annotator]:
    with home.catalog() as catalog, catalog.begin() as tx:
        secret = settings.secret(tx)
    return {pseudonym(secret, _address(person)): person for person in TEAM}


def _address(person: Annotator) -> str:
    return f"{person.name}@demo.example"


def _seats(url: str, token: str, say: Say) -> Iterator[tuple[Annotator, Studio]]:
    with step(f"{len(TEAM)} annotators signed up", say), connect(url, token) as admin:
        seats = []
        for person in TEAM:
            key = create_annotator(admin, _address(person), secrets.token_urlsafe(18))
            seats.append((person, connect(url, key)))
    yield from seats


def _line(policy: Policy, point: Point, nouns: str) -> str:
    colour = "cyan" if policy.name == EMOLAB else "yellow"
    return (
        f"  [{colour}]{policy.title:<13}[/] {point.votes:>5,} votes on {point.labelled:>4,} {nouns}  "
        f"accuracy [bold]{point.accuracy:5.1%}[/]  macro-F1 [bold]{point.macro_f1:.3f}[/]  "
        f"[dim]{point.seconds:.0f} s[/]"
    )


@contextmanager
def step(text: str, say: Say) -> Iterator[None]:
    """Say ``text`` and how long it took when the block is over."""
    started = time.monotonic()
    yield
    say(f"[green]✓[/] {text} [dim]({time.monotonic() - started:.0f} s)[/]")
