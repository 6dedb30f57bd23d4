"""``emolab remove``: take samples out of the workspace again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.catalog.removal import Removal
    from emolab.loop.data.remove import Removed


@click.command(short_help="Take samples, or all that came from a source, out again.")
@click.option("--source", "sources", multiple=True, metavar="NAME", help="All that came from a source; repeatable.")
@click.option(
    "--sample", "ids", multiple=True, metavar="ID", help="A sample, by its id or the start of it; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_command
def remove(session: Session, sources: Sequence[str], ids: Sequence[str], *, dry_run: bool, yes: bool) -> None:
    """Take samples out: no command sees them any more; their votes stay in the ledger, as withdrawn.

    With --source, such as a data set that was merged the wrong way, its votes go everywhere, and its samples unless
    others voted on them too. Samples that lie in a Label Studio project stay. Files stay in .emolab/media; collecting
    or merging the same image again brings a sample back, without its old votes.
    """
    from functools import partial

    from emolab.loop.data.remove import remove as run

    if not (sources or ids):
        raise click.UsageError("Name what to take out: --source NAME or --sample ID.")
    agree = partial(_agree, session, yes=yes)
    done = run(session.workspace, sources=sources, ids=ids, agree=agree, dry_run=dry_run, progress=session.progress)
    session.emit(done)
    _show(session, done)


def _agree(session: Session, found: Removal, *, yes: bool) -> None:
    """Ask before anything goes. Raises :class:`DataError` without consent."""
    if not yes:
        consent(
            session,
            f"{many(len(found.samples), 'sample')} and {many(len(found.votes), 'vote')} would go",
            "Take them out?",
            nothing="nothing was changed",
            ahead="Look with --dry-run first.",
            remedy="Look with --dry-run; take them out with --yes.",
        )


def _show(session: Session, done: Removed) -> None:
    found, withdrawn, dry_run = done.plan, done.withdrawn, done.dry_run
    sign = "[yellow]dry run, nothing changed:[/]" if dry_run else "[green]✓[/]"
    verb = "would be taken out" if dry_run else "taken out"
    session.say(f"{sign} {many(len(found.samples), 'sample')} {verb}, {many(withdrawn, 'vote')} withdrawn")
    if found.shared:
        session.say(f"{many(len(found.shared), 'sample')} kept: others voted on them too")
    if found.sent:
        names = ", ".join(escape(name[:12]) for name in found.sent[:3])
        kept = f"[yellow]{many(len(found.sent), 'sample')} kept:[/] in a Label Studio project ({names})."
        session.say(f"{kept} Delete the tasks there, run emolab label pull, then this again.")
    if found.labelled and not dry_run:
        gone = f"{many(found.labelled, 'label')} went with them."
        session.say(f"{gone} Models and snapshots made before stay as they are.")
    if not dry_run and (found.samples or withdrawn):
        session.next_step("emolab label aggregate, then emolab inspect to bring the FiftyOne view up to date")
