"""``emolab label export``: votes as CSV or JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many


@click.command(short_help="Write the votes as CSV or JSON.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--rejected", is_flag=True, help="Votes that do not count too, with the reason.")
@click.option("--nicknames", "named", is_flag=True, help='The names of "emolab label name" instead of pseudonyms.')
@workspace_command
def export(session: Session, file: Path | None, *, rejected: bool, named: bool) -> None:
    """Write every vote as one row to FILE (.csv or .json), or to standard output: CSV, with --json as JSON.

    Each row has the sample, the annotator's pseudonym, the answer, the guess that was on the form (shown) and the
    answers to the team's own questions (extra). FILE is replaced.
    """
    from emolab.cli.common import escape
    from emolab.loop.label.export_votes import check_file, export_votes

    if file is not None:
        check_file(file)
    wanted = file or sys.stdout
    done = export_votes(session.workspace, wanted, as_json=session.json, rejected=rejected, nicknames=named)
    if file is None:
        return
    session.emit(done)
    session.say(f"[green]✓[/] {many(done.votes, 'vote')} in {escape(str(file))}")
