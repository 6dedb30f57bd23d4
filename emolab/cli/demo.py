"""``emolab demo``: the whole loop in minutes, against random selection, with a page to look at."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.demonstration.campaign import Campaign

#: What a run needs per round, in labelled samples, and what it draws or reads for them.
PER_ROUND, POOL, JUDGE, OVERLAP = 60, 900, 400, 3

#: A file by which a later run knows that it may remove the folder.
MARK = ".emolab-demo"


@click.command(short_help="Run the whole loop on drawn faces, or on your data, in minutes.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default="demo", metavar="[DIR]")
@click.option(
    "--data", metavar="READER:PATH", help="Real faces with votes, such as ferplus:PATH, instead of drawn ones."
)
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="Labelling rounds.")
@click.option(
    "--per-round", type=click.IntRange(10, 2000), default=PER_ROUND, show_default=True, help="Samples a round."
)
@click.option(
    "--pool",
    type=click.IntRange(20, 1_000_000),
    metavar="N",
    help="Faces to choose from [900, or 5 x what is labelled].",
)
@click.option("--strategy", metavar="NAME", help="How the suggesting arm chooses. Default: suggest.strategy.")
@click.option(
    "--seed", type=within("training.seed"), default=0, show_default=True, help="Same seed, same faces and picks."
)
@workspace_command
def demo(
    session: Session,
    directory: Path,
    *,
    data: str | None,
    rounds: int,
    per_round: int,
    pool: int | None,
    strategy: str | None,
    seed: int,
) -> None:
    """Run collect, label, train and suggest for some rounds with a simulated team, and the same at random.

    Everything is real but the people: Label Studio runs, five users sign up and answer its queue, votes are pulled,
    aggregated and trained on. DIR (default: demo) is made again each time; it holds the two workspaces and report.html.
    """
    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.demonstration import campaign as demo_loop
    from emolab.demonstration import data as demo_data
    from emolab.demonstration import page as demo_page
    from emolab.files import write_text

    began = time.monotonic()
    folder = directory.resolve()
    _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    pool = pool or max(POOL, 5 * rounds * per_round)
    judge = min(JUDGE, pool)
    plan = f"{many(rounds, 'round')} of {per_round} samples, {OVERLAP} votes each, twice"
    session.say(f"[bold]emolab demo[/] [dim]{plan}[/]\n")
    faces = demo_data.faces(data, folder / "photos", pool=pool, judge=judge, seed=seed, progress=session.progress)
    session.say(
        f"[green]✓[/] {'drew' if data is None else 'read'} {len(faces.crowd):,} faces for the team and "
        f"{len(faces.judge):,} others to judge by [dim]({time.monotonic() - began:.0f} s)[/]"
    )
    with terminated_like_ctrl_c():
        campaign = demo_loop.run(
            folder,
            faces,
            rounds=rounds,
            per_round=per_round,
            overlap=OVERLAP,
            seed=seed,
            strategy=strategy or _default_strategy(),
            say=session.say,
            progress=session.progress,
        )
    page = folder / "report.html"
    write_text(page, demo_page.render(campaign))
    view = _view(session, campaign)
    _summary(session, campaign, page, seconds=time.monotonic() - began)
    session.emit(_data(campaign, page, view, time.monotonic() - began))


def _default_strategy() -> str:
    from emolab.config import Config

    return Config().suggest.strategy


def _clear(folder: Path) -> None:
    """Remove an earlier demo; refuse to touch a folder that is anything else."""
    from emolab.errors import EmolabError
    from emolab.loop.label.studio import stop_studio
    from emolab.workspace import Workspace

    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).exists():
        raise EmolabError(f"{folder} is not empty and not an earlier demo.", hint="Name another one: emolab demo DIR")
    for file in folder.glob("*/emolab.toml"):
        stop_studio(Workspace.open(file.parent))  # an interrupted demo may have left it running
    shutil.rmtree(folder)


def _view(session: Session, campaign: Campaign) -> str | None:
    """Write the suggesting arm into FiftyOne; the dataset's name, or ``None`` and why in words without FiftyOne."""
    from emolab.demonstration.campaign import CHOSEN

    root = campaign.arms[CHOSEN].workspace.root
    began = time.monotonic()
    command = [sys.executable, "-m", "emolab", "-w", str(root), "inspect", "--no-app", "--json"]
    with session.progress.task("Writing the FiftyOne dataset"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("error:")), done.stderr[-400:])
        session.say(f"\n[yellow]![/] no FiftyOne dataset: {escape(reason.removeprefix('error: '))}")
        return None
    name = str(json.loads(done.stdout)["dataset"])
    session.say(f"\n[green]✓[/] FiftyOne dataset [bold]{escape(name)}[/] [dim]({time.monotonic() - began:.0f} s)[/]")
    return name


def _summary(session: Session, campaign: Campaign, page: Path, *, seconds: float) -> None:
    from emolab.demonstration.campaign import CHOSEN, RANDOM
    from emolab.demonstration.page import votes_to_reach

    arms = [campaign.arms[name] for name in (CHOSEN, RANDOM)]
    session.table(
        ("selection", ("votes", "right"), ("accuracy", "right"), ("macro-F1", "right"), ("ECE", "right")),
        [
            (
                f"emolab suggest ({arm.strategy})" if arm.name == CHOSEN else "random",
                f"{arm.curve[-1].votes:,}",
                f"{arm.curve[-1].accuracy:.1%}",
                f"{arm.curve[-1].macro_f1:.3f}",
                f"{arm.curve[-1].ece:.3f}",
            )
            for arm in arms
        ],
        title=f"After {many(len(arms[0].curve), 'round')}, on {len(campaign.data.truth):,} faces nobody trained on",
    )
    goal = arms[1].curve[-1]
    reached = votes_to_reach(arms[0], goal.macro_f1)
    if reached is None:
        session.say(
            f"This time emolab did not reach random's final macro-F1 of {goal.macro_f1:.3f}: one run, one seed."
        )
    else:
        session.say(
            f"emolab reached random's final macro-F1 of {goal.macro_f1:.3f} after [bold]{reached:,.0f}[/] votes; "
            f"random took {goal.votes:,}. [dim]One run, one seed.[/]"
        )
    session.say(f"\n  the page      [bold cyan]{escape(page.as_uri())}[/]")
    chosen = shlex.quote(str(campaign.arms[CHOSEN].workspace.root))
    session.say(f"  the dataset   [bold cyan]emolab -w {escape(chosen)} inspect[/]")
    session.say(f"  [dim]{seconds / 60:.1f} minutes in all[/]")


def _data(campaign: Campaign, page: Path, view: str | None, seconds: float) -> dict[str, object]:
    return {
        "report": str(page),
        "fiftyone_dataset": view,
        "seconds": round(seconds, 1),
        "judge": len(campaign.data.truth),
        "arms": {
            name: {"strategy": arm.strategy, "workspace": str(arm.workspace.root), "curve": arm.curve}
            for name, arm in campaign.arms.items()
        },
    }
