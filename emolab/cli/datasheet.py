"""``emolab datasheet``: what is in the data set, where it is from, and what its makers have to write about it."""

from __future__ import annotations

from pathlib import Path

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.words import many


@click.command(short_help="Write the datasheet of the data set.")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path),
              help="The Markdown file to write; what you wrote into it before is kept.")  # fmt: skip
@workspace_command
def datasheet(session: Session, *, to: Path | None) -> None:
    """Print the datasheet of the data set as Markdown, or write it to a file.

    Sources, counts, classes, licences, consent, votes, agreement, splits, copies and dates come from the catalog. What
    it cannot know is marked "To be written by you". Nobody is named in it.
    """
    from emolab.loop.data.sheet.datasheet import datasheet as run

    found = run(session.workspace, to=to)
    session.emit(found)
    if to is None:
        if not session.json:
            click.echo(found.sheet, nl=False)
        return
    session.wrote("datasheet", found.file)
    if found.kept:
        session.say(f"  {many(found.kept, 'answer')} of yours kept")
    if found.open:
        session.say(f"  {many(len(found.open), 'question')} to be answered by you, the first: {escape(found.open[0])}")
