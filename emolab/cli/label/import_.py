"""``emolab label import``: votes from a file of another program or workspace."""

from __future__ import annotations

from pathlib import Path

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.cli.label.export import FORMATS
from emolab.words import many


@click.command("import", short_help="Add the votes of a file: CSV, JSON, Parquet, COCO, tasks or a folder.")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: what FILE holds.")
@click.option("--annotator", metavar="NAME", help="Who gave the answers that name nobody.")
@click.option("--replace", is_flag=True, help="Let votes of the file supersede those here that they contradict.")
@click.option("--dry-run", is_flag=True, help="Only say what would be added.")
@workspace_command
def import_(
    session: Session, file: Path, *, form: str | None, annotator: str | None, replace: bool, dry_run: bool
) -> None:
    """Add the votes of FILE, as "emolab label export" writes it, to those of this workspace.

    The same file again adds nothing, and a vote that was withdrawn here stays withdrawn. A file with labels that are no
    classes of this project, or about samples that are not here, is refused whole. A CSV of your own needs the columns
    sample, label and annotator (or --annotator). A folder has a folder of files for each class.
    """
    from emolab.loop.label.exchange.import_votes import import_votes

    done = import_votes(session.workspace, file, format=form, annotator=annotator, replace=replace, dry_run=dry_run)
    session.emit(done)
    for written, n in done.renamed.items():
        session.say(f"[dim]{escape(written)}: {n:,}[/]")
    would = "would be added" if dry_run else "added"
    parts = [f"{done.known:,} known"] if done.known else []
    parts += [f"{done.withdrawn:,} withdrawn here before"] if done.withdrawn else []
    parts += [f"{done.changed:,} of the new ones supersede others"] if done.changed else []
    parts += [f"{done.forgotten:,} of forgotten samples or annotators left out"] if done.forgotten else []
    more = f" ({', '.join(parts)})" if parts else ""
    session.say(f"[green]✓[/] {many(done.new, 'vote')} {would}{more}")
    if done.new and not dry_run:
        session.next_step("emolab label aggregate")
