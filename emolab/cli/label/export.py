"""``emolab label export``: votes, or labels, as a file of another program."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many

FORMATS = ("csv", "json", "jsonl", "parquet", "coco", "studio", "folder")


@click.command(short_help="Write the votes as CSV, JSON, Parquet, COCO or tasks, or labels as a folder.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: what the end of FILE says.")
@click.option("--rejected", is_flag=True, help="Votes that do not count too, with the reason.")
@click.option("--nicknames", "named", is_flag=True, help='The names of "emolab label name" instead of pseudonyms.')
@workspace_command
def export(session: Session, file: Path | None, *, form: str | None, rejected: bool, named: bool) -> None:
    """Write every vote to FILE (.csv, .json, .jsonl or .parquet), or to standard output: CSV, with --json as JSON.

    Each row has the sample, the annotator's pseudonym, the answer, the guess that was on the form (shown) and the
    answers to the team's own questions (extra). FILE is replaced.

    --format coco writes an annotation a vote, --format studio tasks that Label Studio imports, --format folder the file
    of each label into a folder of its class. What a format cannot hold is said before anything is written. "emolab
    label import" reads all of them.
    """
    from emolab.loop.label.exchange.export_votes import export_votes

    if file is None and form not in (None, "csv", "json"):
        raise click.UsageError(f"--format {form} needs a FILE.")
    done = export_votes(
        session.workspace,
        file or sys.stdout,
        format=form,
        as_json=session.json or form == "json",
        rejected=rejected,
        nicknames=named,
        agree=session.notes,
    )
    if file is not None:
        session.emit(done)
        session.wrote(many(done.votes, "label" if done.format == "folder" else "vote"), file)
