"""``emolab predict``: classify image files."""

from __future__ import annotations

from pathlib import Path

import click

from emolab.cli.common import Session, device_option, flips_option, other_files, workspace_command
from emolab.cli.ui.predict_table import print_csv, show


@click.command(short_help="Classify images with a model.")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line per image or face as CSV on standard output.")
@click.option(
    "--faces",
    type=click.Choice(["auto", "all", "largest", "off"]),
    help="Find the faces and classify each; off takes files as face crops. Default: collect.faces.",
)
@click.option(
    "--draw",
    "draw_to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the pictures to DIR with a box around each face and the answers beside it.",
)
@click.option(
    "--unsure",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Mark answers whose best class has a lower probability than this. Default: none.",
)
@click.option(
    "--coverage",
    type=click.Choice(["0.8", "0.9", "0.95"]),
    help="Give each answer the set of classes that holds the right one in this share of images like the model's own.",
)
@flips_option
@device_option
@workspace_command
def predict(
    session: Session,
    model: str,
    paths: tuple[Path, ...],
    *,
    as_csv: bool,
    faces: str | None,
    draw_to: Path | None,
    unsure: float,
    coverage: str | None,
    flips: bool | None,
    device: str | None,
) -> None:
    """Classify the images in PATH... (files, folders or zips) with MODEL: champion, the start of an id, a folder, or an
    exported file.

    Files are decoded in full; docs/export.md has the recipe. A file that cannot be read or shows nothing gets a line of
    its own, and the command ends with exit code 1. A note stands beside an answer that may be worth little: an image
    of one colour, of a few pixels, or a long strip.

    Faces are found and cut out as by "emolab collect": with auto, a picture whose shorter side has more than 100 pixels
    (collect.tight) is searched, a smaller one is a face crop already. Each face is told with its box and landmarks, in
    pixels of the upright picture, and the detector's score.
    """
    from emolab.cli.common import escape
    from emolab.cli.ui.model_options import config_of, folder_of, workspace_of
    from emolab.errors import DataError
    from emolab.loop.model.models import exported
    from emolab.loop.model.predict import predict as run
    from emolab.words import many

    done = run(
        exported(model) or folder_of(session, model),
        paths,
        workspace=workspace_of(session, settled=True),
        config=config_of(session),
        faces=faces,
        flips=flips,
        device=device,
        unsure=unsure,
        coverage=None if coverage is None else float(coverage),
        draw_to=draw_to,
        progress=session.progress,
    )
    rows = done.predictions
    session.emit(done)
    if as_csv and not session.json:
        print_csv(rows, done.classes, faces=done.searched)
    listed = session.json or as_csv or show(session, rows, faces=any("box" in row for row in rows))
    for note in done.notes:
        session.say(f"[yellow]note:[/] {escape(note)}")
    if draw_to is not None:
        session.say(
            f"[green]✓[/] {many(len(done.drawn or ()), 'picture')} with boxes and bars in {escape(str(draw_to))}"
        )
    if done.ignored:
        session.say(f"[dim]Left alone: {other_files(done.ignored)[2]}[/]")
    if done.failed:
        where = "each is listed with its reason" if listed else "--json or --csv list each with its reason"
        raise DataError(f"{done.failed} of {done.files} images could not be classified; {where}.")
