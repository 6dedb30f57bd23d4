"""``emolab forget``: erase samples, a person or a source everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.loop.operate.forgetting.forget import Forgotten


@click.command(short_help="Erase samples, a person, a source or an annotator everywhere.")
@click.argument("ids", nargs=-1, metavar="[SAMPLE]...")
@click.option("--subject", "subjects", multiple=True, metavar="NAME", help="All of a person: a group; repeatable.")
@click.option("--source", "sources", multiple=True, metavar="NAME", help="All that came from a source; repeatable.")
@click.option(
    "--annotator", "annotators", multiple=True, metavar="NAME",
    help="Somebody who votes, by pseudonym, nickname, e-mail address or name in the app; their votes stay. Repeatable.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go where, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_command
def forget(
    session: Session,
    ids: Sequence[str],
    subjects: Sequence[str],
    sources: Sequence[str],
    annotators: Sequence[str],
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """Erase samples, by their ids or the starts of them, or all of a person or a source, in every place.

    Files, predictions, votes, labels, tasks, logs, snapshots, and what models are known to have learned. Only a keyed
    hash stays, by which they are known and left out if they are collected again. Models that learned from them are
    flagged: train again. Of an annotator the person goes: name, account, links; the votes stay, under a new pseudonym.
    Stopped on the way, "emolab forget" alone goes on.
    """
    from functools import partial

    from emolab.loop.operate.forgetting.forget import forget as run

    done = run(
        session.workspace, ids=ids, subjects=subjects, sources=sources, annotators=annotators,
        agree=partial(_agree, session, yes=yes),
        dry_run=dry_run, progress=session.progress,
    )  # fmt: skip
    session.emit(done)
    _show(session, done)


def _agree(session: Session, plan: Forgotten, *, yes: bool) -> None:
    """Ask before anything goes. Raises :class:`DataError` without consent."""
    from emolab.loop.operate.forgetting.forget import counted

    if not yes:
        _places(session, plan)
        consent(
            session,
            f"{counted(plan)} would be erased everywhere, for good",
            "Erase?",
            nothing="nothing was changed",
            ahead="Look with --dry-run first.",
            remedy="Look with --dry-run; erase with --yes.",
        )


def _places(session: Session, done: Forgotten) -> None:
    rows = [(name, escape(what)) for name, (n, what) in done.holders.items() if n]
    session.table(["where", "what"], rows)


def _show(session: Session, done: Forgotten) -> None:
    from emolab.loop.operate.forgetting.forget import counted

    sign = "[yellow]dry run, nothing changed:[/]" if done.dry_run else "[green]✓[/]"
    verb = "would be forgotten" if done.dry_run else "forgotten"
    ended = ", which an earlier call had begun" if done.continued else ""
    session.say(f"{sign} {counted(done)} {verb}{ended}")
    _places(session, done)
    if done.models:
        named = ", ".join(short(model) for model in done.models)
        session.say(f"{many(len(done.models), 'model')} learned from them, and flagged so: {named}")
    if done.snapshots or done.states:
        n = len(done.snapshots) + len(done.states)
        session.say(f"{many(n, 'snapshot')} without their rows, not to be restored any more")
    session.notes([f"a backup may hold them: {place}" for place in done.backups])
    session.notes(done.unreached)
    for line in done.to_do:
        session.say(f"  [bold]to do:[/] {escape(line)}")
    session.notes(done.notes)
    session.wrote("the certificate", done.certificate)
    if done.champion is not None and not done.dry_run:
        session.next_step("emolab label aggregate, then emolab train: the champion learned from what was forgotten")
