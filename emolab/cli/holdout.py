"""``emolab holdout``: samples that no model is trained on, to judge which one is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, within, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import many

if TYPE_CHECKING:
    from emolab.datasets.splits.resplit import Moves


@click.group(cls=OrderedGroup, short_help="Keep samples away from every training, to judge models by.")
def holdout() -> None:
    """Samples that no model is trained on, chosen by or tuned on: they say which model is used."""


@holdout.command("add", short_help="Keep samples away from every training, for good.")
@click.option("-n", type=within("option.count"), metavar="N", help="Draw so many at random, of those without a split.")
@click.option(
    "--sample", "ids", multiple=True, metavar="ID", help="A sample, by its id or the start of it; repeatable."
)
@click.option("--source", "sources", multiple=True, metavar="NAME", help="All samples of a source; repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="All samples of a group; repeatable.")
@click.option("--settle", is_flag=True, help="Bring in what belongs to holdout samples and came in elsewhere.")
@click.option("--seed", type=within("training.seed"), default=0, show_default=True, help="Of the draw.")
@click.option("--dry-run", is_flag=True, help="Say what would move, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_command
def add(
    session: Session,
    *,
    n: int | None,
    ids: Sequence[str],
    sources: Sequence[str],
    groups: Sequence[str],
    settle: bool,
    seed: int,
    dry_run: bool,
    yes: bool,
) -> None:
    """Put samples into the holdout: no command trains on them or takes them out of it again.

    What belongs together (a person, a video, a photo, near copies) goes together, and what of it comes in later joins
    by itself. With --source, -n draws from those sources.
    """
    from emolab.loop.data.holdout import holdout_add, learned

    if settle + (n is not None) + bool(ids or groups or (sources and n is None)) != 1:
        raise click.UsageError("Name samples (--sample, --source, --group), or draw some (-n), or --settle.")

    def agree(moves: Moves) -> None:
        if moves.to and not yes:
            seen = learned(moves)
            consent(
                session,
                f"{many(len(moves.to), 'sample')} would be kept away from every training for good",
                "Keep them away?",
                nothing="nothing moved",
                ahead="Look with --dry-run first.",
                remedy="Look with --dry-run; do it with --yes.",
                besides=f"; models may have learned {seen:,} of them" if seen else "",
            )

    done = holdout_add(
        session.workspace, ids=ids, sources=sources, groups=groups, n=n, settle=settle, seed=seed, agree=agree,
        dry_run=dry_run,
    )  # fmt: skip
    session.emit(done)
    sign = "[yellow]dry run, nothing moved:[/]" if done.dry_run else "[green]✓[/]"
    session.say(f"{sign} {many(len(done.moves.to), 'sample')} to the holdout, {done.total:,} in it")
    if done.learned:
        session.say(f"[yellow]models may have learned {done.learned:,} of them:[/] they were to train on or choose by")


@holdout.command("list", short_help="What is in the holdout.")
@workspace_command
def list_holdout(session: Session) -> None:
    """Count the samples of the holdout by source and class."""
    from emolab.loop.data.holdout import holdout_list

    found = holdout_list(session.workspace)
    session.emit(found)
    if not found.total:
        session.say("The holdout is empty.")
        session.next_step("emolab holdout add -n 200")
        return
    rows = [(escape(str(row["source"])), escape(str(row["class"])), f"{row['samples']:,}") for row in found.counts]
    session.table(["source", "class", ("samples", "right")], rows, title=f"Holdout: {many(found.total, 'sample')}")
    if found.tied:
        session.say(f"[yellow]{many(len(found.tied), 'sample')} to train on belong to them; trainings are refused[/]")
        session.next_step("emolab holdout add --settle")
