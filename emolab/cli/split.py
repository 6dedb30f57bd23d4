"""``emolab split``: what is trained on, chosen by and judged on; set by hand, drawn again, and repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, leak_option, within, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.datasets.splits.resplit import Moves
    from emolab.loop.data.split import SplitChange

#: Options that every command shares which changes something.
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would move, change nothing.")
_yes = click.option("--yes", is_flag=True, help="Move samples out of the test split without asking.")


@click.group(
    cls=OrderedGroup, short_help="Show, set, draw and repair train, valid and test.", invoke_without_command=True
)
@click.pass_context
def split(ctx: click.Context) -> None:
    """What is trained on (train), chosen by (valid) and judged on (test): list (the default), set, draw, repair."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_splits)


@split.command("list", short_help="Samples by split, source and class.")
@workspace_command
def list_splits(session: Session) -> None:
    """Count the samples of each split by source and by the class of their current label."""
    from emolab.loop.data.split import splits

    found = splits(session.workspace)
    session.emit(found)
    rows, across = found.counts, found.across["copies"]
    if not rows:
        session.say("There are no samples yet.")
        session.next_step("emolab collect PATH, or emolab merge READER PATH")
        return
    classes = [*session.workspace.config.project.classes, "none"]
    table: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        table.setdefault((str(row["split"]), str(row["source"])), {})[str(row["class"])] = int(row["samples"])
    shown = [name for name in classes if any(name in counts for counts in table.values())]
    cells = [
        (
            part,
            escape(source),
            f"{sum(counts.values()):,}",
            *(f"{counts[name]:,}" if name in counts else "" for name in shown),
        )
        for (part, source), counts in table.items()
    ]
    titles = [(escape(name if name != "none" else "no label"), "right") for name in shown]
    session.table(["split", "source", ("samples", "right"), *titles], cells)
    if across:
        session.say(f"[yellow]{many(across, 'group')} of near copies across splits[/]")
        session.next_step("emolab split repair --dry-run")


@split.command("set", short_help="Put samples into a split by hand.")
@click.argument("name", type=click.Choice(["train", "valid", "test", "none"]), metavar="SPLIT")
@click.option(
    "--sample", "ids", multiple=True, metavar="ID", help="A sample, by its id or the start of it; repeatable."
)
@click.option("--source", "sources", multiple=True, metavar="NAME", help="All samples of a source; repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="All samples of a group; repeatable.")
@leak_option
@_dry_run
@_yes
@workspace_command
def set_split(
    session: Session,
    name: str,
    *,
    ids: Sequence[str],
    sources: Sequence[str],
    groups: Sequence[str],
    allow_speaker_leak: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Put the named samples into SPLIT: train, valid, test, or none (the next training draws one for them)."""
    from functools import partial

    from emolab.loop.data.split import set_split as run

    if not (ids or sources or groups):
        raise click.UsageError("Name what to move: --sample ID, --source NAME or --group NAME.")
    split = None if name == "none" else name
    agree = partial(_agree, session, yes=yes)
    done = run(
        session.workspace,
        split,
        ids=ids,
        sources=sources,
        groups=groups,
        allow_speaker_leak=allow_speaker_leak,
        agree=agree,
        dry_run=dry_run,
    )
    session.emit(done)
    _show(session, done)


@split.command("draw", short_help="Draw the splits again, by shares.")
@click.option("--train", type=within("option.share"), default=0.8, show_default=True, help="Share to train on.")
@click.option("--valid", type=within("option.share"), default=0.2, show_default=True, help="Share to choose by.")
@click.option("--test", type=within("option.share"), default=0.0, show_default=True, help="Share to judge on.")
@click.option(
    "--seed", type=within("training.seed"), default=0, show_default=True, help="The same seed draws the same splits."
)
@click.option("--source", "sources", multiple=True, metavar="NAME", help="Only samples of this source; repeatable.")
@click.option("--redraw-test", is_flag=True, help="Draw test samples too; they stay where they are otherwise.")
@_dry_run
@_yes
@workspace_command
def draw(
    session: Session,
    *,
    train: float,
    valid: float,
    test: float,
    seed: int,
    sources: Sequence[str],
    redraw_test: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Draw who is trained on, chosen by and judged on, each class by the same shares.

    Groups, photos and near copies stay whole. Test samples, such as those of a published test set, stay test samples.
    """
    from functools import partial

    from emolab.loop.data.split import draw_splits

    shares = {key: value for key, value in (("train", train), ("valid", valid), ("test", test)) if value}
    done = draw_splits(
        session.workspace,
        shares,
        seed=seed,
        sources=sources,
        keep_test=not redraw_test,
        agree=partial(_agree, session, yes=yes),
        dry_run=dry_run,
    )
    session.emit(done)
    _show(session, done)


@split.command("repair", short_help="Bring near copies that lie across splits together.")
@click.option("--groups", is_flag=True, help="Groups (a subject, a video) too, not only copies and faces of one photo.")
@_dry_run
@workspace_command
def repair(session: Session, groups: bool, dry_run: bool) -> None:
    """Bring near copies, and faces of one photo, into one split: the most held-out one of theirs.

    Test samples stay test samples: their copies in train and valid become test samples as well. Copies in train of a
    validation sample become validation samples.
    """
    from emolab.loop.data.split import repair_splits

    done = repair_splits(session.workspace, groups=groups, dry_run=dry_run)
    session.emit(done)
    _show(session, done)


def offer_repair(session: Session, wanted: bool | None) -> Moves | None:
    """Repair copies across splits where that is ``wanted`` or, with ``None``, a person agrees to it."""
    from emolab.cli.common import interactive
    from emolab.loop.data.split import repair_splits

    if wanted is False or (wanted is None and (session.json or not interactive())):
        return None
    if wanted is None:
        moves = repair_splits(session.workspace, dry_run=True).moves
        if not moves.to:
            return None
        ways = ", ".join(f"{row['samples']:,} from {row['from']} to {row['to']}" for row in moves.rows())
        session.say(
            f"{many(moves.units, 'group')} of near copies {'lies' if moves.units == 1 else 'lie'} across splits."
        )
        try:
            agreed = click.confirm(f"Move {ways}, so that no copy of a held-out image is trained on?", err=True)
        except click.Abort:  # the merge is complete whatever the answer
            agreed = False
        if not agreed:
            session.say("Nothing was moved. [dim]Later: emolab split repair[/]")
            return None
    done = repair_splits(session.workspace)
    _show(session, done)
    return done.moves


def _agree(session: Session, moves: Moves, *, yes: bool) -> None:
    """Ask before test samples become others. Raises :class:`DataError` without consent."""
    leaving = sum(n for (before, _), n in moves.between.items() if before == "test")
    if leaving and not yes:
        consent(
            session,
            f"{many(leaving, 'sample')} would leave the test split, so figures from before no longer compare",
            "Move them?",
            nothing="nothing was moved",
            ahead="Look with --dry-run first.",
            remedy="Look with --dry-run; move them with --yes.",
        )


def _show(session: Session, done: SplitChange) -> None:
    from emolab.loop.model.models import models

    moves, after, dry_run = done.moves, done.after, done.dry_run
    if not moves.to:
        session.say("Nothing to move.")
    else:
        sign = "[yellow]dry run, nothing changed:[/]" if dry_run else "[green]✓[/]"
        moved = f"{many(len(moves.to), 'sample')} of {many(moves.units, 'unit')} {'would move' if dry_run else 'moved'}"
        session.say(f"{sign} {moved} [dim](a unit is what belongs together: copies, one photo, one group)[/]")
        session.table(
            ["from", "to", ("samples", "right")],
            [(row["from"], row["to"], f"{row['samples']:,}") for row in moves.rows()],
        )
    if moves.left_across:
        lie = f"{many(moves.left_across, 'unit')} {'lies' if moves.left_across == 1 else 'lie'} across splits"
        fix = "Copies: emolab split repair; subjects and videos too: --groups."
        session.say(f"[yellow]{lie}{' then' if dry_run else ''}.[/] [dim]{fix}[/]")
    session.say("splits: " + ", ".join(f"{name} {n:,}" for name, n in sorted(after.items())))
    learned = sum(n for (before, to), n in moves.between.items() if before == "train" and to in ("valid", "test"))
    if learned and not dry_run and models(session.workspace):
        known = (
            f"Models trained before may have learned from {many(learned, 'sample')} that they would now be judged on"
        )
        session.say(f"[yellow]{known}:[/] train again before you compare.")
        session.next_step("emolab train")
