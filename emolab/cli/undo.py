"""``emolab undo``: take the last collect, merge or split back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.data.undo import Undone


@click.command(short_help="Take the last collect, merge or split back.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken back, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_command
def undo(session: Session, *, dry_run: bool, yes: bool) -> None:
    """Take the last collect, merge or split back, as far as nothing depends on it; once more goes one further back.

    Samples stay that a model has learned from since, that others voted on, that are in the holdout or in a Label Studio
    project: the command says how many and why. Files stay in .emolab/media; the same command as before does it again.
    """
    from functools import partial

    from emolab.loop.data.undo import undo as run

    agree = None if yes else partial(_agree, session)
    done = run(session.workspace, agree=agree, dry_run=dry_run, progress=session.progress)
    session.emit(done)
    _show(session, done)


def _agree(session: Session, found: Undone) -> None:
    """Ask before anything goes. Raises :class:`DataError` without consent."""
    consent(
        session,
        f"{_named(found)}: {_what(found)}",
        "Take it back?",
        nothing="nothing was changed",
        ahead="Look with --dry-run first.",
        remedy="Look with --dry-run; take it back with --yes.",
    )


def _show(session: Session, done: Undone) -> None:
    sign = "[yellow]dry run, nothing changed:[/]" if done.dry_run else "[green]✓[/] taken back:"
    session.say(f"{sign} {escape(_named(done))}")
    session.say(_what(done))
    for reason, n in done.kept.items():
        session.say(f"[yellow]{many(n, 'sample')} kept:[/] {reason}")
    if done.models:
        names = ", ".join(name[:12] for name in done.models)
        session.say(
            f"The models: {names}. Give one up with emolab models retire, then emolab remove takes the rest out."
        )
    if not done.dry_run and (done.withdrawn or done.again or done.removed):
        session.next_step("emolab label aggregate, then emolab inspect to bring the FiftyOne view up to date")


def _named(found: Undone) -> str:
    return f"{found.kind} ({found.about}) of {found.at[:16].replace('T', ' ')} UTC"


def _what(found: Undone) -> str:
    parts = [f"{many(found.removed, 'sample')} taken out"] if found.removed else []
    parts += [f"{many(found.withdrawn, 'vote')} withdrawn"] if found.withdrawn else []
    parts += [f"{many(found.again, 'earlier vote')} counted again"] if found.again else []
    words = {"split": "split", "group": "group", "representative": "place among near copies"}
    parts += [f"the {words[name]} of {many(n, 'sample')} as before" for name, n in found.put_back.items()]
    return ", ".join(parts)
