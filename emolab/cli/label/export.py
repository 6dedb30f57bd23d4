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
    from emolab.catalog import nicknames
    from emolab.cli.common import escape
    from emolab.errors import DataError
    from emolab.labeling.labels import vote_export

    if file is not None and file.suffix.lower() not in (".csv", ".json"):
        raise DataError(f"{file} is no .csv and no .json file.", hint="For example: emolab label export votes.csv")
    with session.workspace.catalog() as catalog, catalog.connect() as conn:
        table = vote_export.rows(conn, rejected=rejected, nicknames=nicknames.by_pseudonym(conn) if named else None)
        as_json = session.json if file is None else file.suffix.lower() == ".json"
        write = vote_export.write_json if as_json else vote_export.write_csv
        if file is None:
            write(sys.stdout, table)
            return
        part = file.with_name(file.name + ".part")
        try:
            with part.open("w", encoding="utf-8", newline="") as stream:
                n = write(stream, table)
            part.replace(file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DataError(f"{file} cannot be written: {error.strerror}.") from error
    session.emit({"file": file, "votes": n})
    session.say(f"[green]✓[/] {many(n, 'vote')} in {escape(str(file))}")
