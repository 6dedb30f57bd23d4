"""``emolab features``: what is measured of every clip, as a table for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many


@click.command(short_help="Write what is measured of every clip as a table.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The table to write; its name ends in .csv, .parquet or .npz.")  # fmt: skip
@workspace_command
def features(session: Session, *, out: Path) -> None:
    """Write what is measured of every clip as a table: one row a clip, for models of other programs.

    Statistics over the frames of a clip: log-mel bands, MFCC, centroid, rolloff, flux, RMS and zero crossings. Label,
    split and group stand beside them. They are kept in the workspace, so only new clips take time.
    """
    from emolab.loop.data.features import features as run

    found = run(session.workspace, out, progress=session.progress)
    session.emit(found)
    session.wrote(f"{many(len(found.rows), 'clip')}, {many(len(found.names), 'number')} each,", found.file)
    session.say(f"  {found.measured:,} measured now, {len(found.rows) - found.measured:,} kept from before")
    session.notes(found.notes)
