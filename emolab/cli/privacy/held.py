"""``emolab privacy``: what is held about a person."""

from __future__ import annotations

from pathlib import Path

import click

from emolab.cli.common import Session, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import many


@click.group(cls=OrderedGroup, short_help="Say what is held about a person.")
def privacy() -> None:
    """What is held about a person: report."""


@privacy.command("report", short_help="Write what is held about a subject into a folder.")
@click.option("--subject", metavar="NAME", help="The group of the person's samples.")
@click.option(
    "--annotator", metavar="NAME", help="Somebody who votes: pseudonym, nickname, e-mail address or name in the app."
)
@click.option("--to", required=True, type=click.Path(path_type=Path), metavar="PATH", help="The new folder.")
@workspace_command
def report(session: Session, subject: str | None, annotator: str | None, to: Path) -> None:
    """Write a folder with a page, the same as JSON, and copies of the person's files.

    It says which rows of the catalog, which files, snapshots and models hold something of the subject; of an annotator
    which votes, answers, accounts and links there are.
    """
    from emolab.loop.operate.privacy.privacy_report import privacy_report
    from emolab.loop.operate.privacy.report_folder import PAGE

    if (subject is None) == (annotator is None):
        raise click.UsageError("Say whom: --subject NAME or --annotator NAME.")
    done = privacy_report(session.workspace, subject=subject, annotator=annotator, to=to, progress=session.progress)
    session.emit(done)
    held = ", ".join(f"{n:,} {name}" for name, n in done.rows.items() if n)
    if annotator is not None:
        session.say(f"{done.subject}: {held or 'nothing'}")
    else:
        session.say(f"{many(len(done.ids), 'sample')}; rows of the catalog: {held or 'none'}")
        session.say(
            f"{many(len(done.files), 'file')} name one of them, {many(len(done.models), 'model')} learned from them"
        )
    if done.missing:
        session.notes([f"the files of {many(len(done.missing), 'sample')} are missing"])
    session.notes(done.unread.values())
    session.wrote("the report", done.folder / PAGE)
