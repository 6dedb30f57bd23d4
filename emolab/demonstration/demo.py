"""The demo as one step: samples, the replay, two campaigns, a FiftyOne dataset and a page, all in one folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import EmolabError
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from emolab.demonstration.campaign import Campaigns
    from emolab.demonstration.data import DemoData, Source
    from emolab.demonstration.replay import Replay
    from emolab.workspace import Workspace

#: Samples to choose from and to judge by, votes per round in samples the usual way, and votes on each of those.
POOL, JUDGE, PER_ROUND, OVERLAP = 1000, 400, 60, 3
#: Campaigns that the replay plays by each policy.
SEEDS = 12
#: A file by which a later run knows that it may remove the folder.
MARK = ".emolab-demo"


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What a demo is made of: of which ``modality``.

    ``data`` is ``READER:PATH``, or ``None`` for samples that emolab makes; ``pool`` ``None`` for enough.
    """

    modality: str = "image"
    data: str | None = None
    rounds: int = 3
    per_round: int = PER_ROUND
    pool: int | None = None
    strategy: str | None = None
    seeds: int = SEEDS
    seed: int = 0

    @property
    def budget(self) -> int:
        """Votes a round."""
        return OVERLAP * self.per_round

    @property
    def samples(self) -> int:
        """Samples to choose from."""
        return self.pool or max(POOL, 2 * self.rounds * self.budget)


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What a demo left: ``page`` and the ``dataset`` in FiftyOne, or ``no_dataset``, the reason why there is none.

    ``seconds`` is how long everything took.
    """

    campaigns: Campaigns
    replay: Replay
    page: Path
    dataset: str | None
    no_dataset: str
    seconds: float


def demonstrate(
    folder: Path, options: DemoOptions, *, say: Callable[[str], None], progress: Progress = SILENT
) -> Demonstration:
    """Make the demo in ``folder``, whose earlier demo is removed; ``say`` gets a line per step, in rich's markup.

    Label Studio comes up while the samples are made and the replay runs. Raises :class:`EmolabError` for a folder that
    holds anything else.
    """
    from emolab.demonstration.kinds.demo_kind import open_kind
    from emolab.demonstration.policies import plan_budgets

    began = time.monotonic()
    noun = open_kind(options.modality).noun
    plan_budgets(options.samples, rounds=options.rounds, budget=options.budget, noun=noun)  # too small: said at once
    clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    with _one_thread():
        return _demonstrate(folder, options, began, say, progress)


def _demonstrate(
    folder: Path, options: DemoOptions, began: float, say: Callable[[str], None], progress: Progress
) -> Demonstration:
    from emolab.demonstration import campaign as live
    from emolab.demonstration import data as demo_data
    from emolab.demonstration import page as demo_page
    from emolab.demonstration import policies as ways
    from emolab.demonstration.replay import replay
    from emolab.files import write_text

    jobs = _cores()
    policies = {policy.name: policy for policy in (ways.usual(), ways.emolab(options.strategy))}
    source = demo_data.source(options.data, options.modality)
    workspaces = {name: live.workspace(folder / name, source, policy) for name, policy in policies.items()}
    with live.starting(workspaces[ways.EMOLAB]) as coming:
        samples = _samples(folder / "files", source, options, jobs=jobs, say=say, progress=progress)
        home, other = workspaces[ways.EMOLAB], workspaces[ways.USUAL]
        twins = live.collect_samples(home, [other], samples, say=say, progress=progress)
        with live.step(f"{options.seeds} campaigns of each way replayed", say):
            played = replay(
                folder / "replay",
                policies,
                samples,
                twins,
                rounds=options.rounds,
                budget=options.budget,
                seeds=options.seeds,
                jobs=jobs,
                progress=progress,
            )
        campaigns = live.run(
            policies,
            workspaces,
            samples,
            coming,
            rounds=options.rounds,
            budget=options.budget,
            seed=options.seed,
            say=say,
            progress=progress,
        )
    dataset, why_not = _dataset(workspaces[ways.EMOLAB], progress)
    made = Demonstration(
        campaigns=campaigns,
        replay=played,
        page=folder / "report.html",
        dataset=dataset,
        no_dataset=why_not,
        seconds=time.monotonic() - began,
    )
    write_text(made.page, demo_page.render(campaigns, played, seconds=made.seconds))
    return made


def _samples(
    folder: Path, source: Source, options: DemoOptions, *, jobs: int, say: Callable[[str], None], progress: Progress
) -> DemoData:
    from emolab.demonstration.data import prepare

    began = time.monotonic()
    made = prepare(
        source,
        folder,
        pool=options.samples,
        judge=min(JUDGE, options.samples),
        seed=options.seed,
        jobs=jobs,
        progress=progress,
    )
    say(
        f"[green]✓[/] {made.kind.made if made.drawn else 'read'} {len(made.crowd):,} {made.kind.nouns} for the team "
        f"and {len(made.judge):,} others to judge by [dim]({time.monotonic() - began:.0f} s)[/]"
    )
    return made


def clear(folder: Path) -> None:
    """Remove an earlier demo; refuse to touch a folder that is anything else."""
    from emolab.loop.label.studio import stop_studio
    from emolab.workspace import Workspace

    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).exists():
        raise EmolabError(f"{folder} is not empty and not an earlier demo.", hint="Name another one: emolab demo DIR")
    for file in folder.glob("*/emolab.toml"):
        stop_studio(Workspace.open(file.parent))  # an interrupted demo may have left it running
    shutil.rmtree(folder)


def _dataset(workspace: Workspace, progress: Progress) -> tuple[str | None, str]:
    """Write the workspace into FiftyOne; the dataset's name, or ``None`` and why there is none."""
    command = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "inspect", "--no-app", "--json"]
    with progress.task("Writing the FiftyOne dataset"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("error:")), done.stderr[-400:])
        return None, reason.removeprefix("error: ")
    return str(json.loads(done.stdout)["dataset"]), ""


def _cores() -> int:
    """Processes to use: the cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let small matrix products use one thread, here and in processes started inside.

    The demo has other work for every core. On a busy machine two threads of one small product mostly wait for each
    other: looking for near copies took three times the CPU time.
    """
    name = "OPENBLAS_NUM_THREADS"  # read when numpy is first imported
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
