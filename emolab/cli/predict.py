"""``emolab predict``: classify image files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, device_option, flips_option, other_files, workspace_command
from emolab.cli.ui.predict_table import print_csv, row_of, show

if TYPE_CHECKING:
    from emolab.loop.model.predict_faces import Asked
    from emolab.modalities.problems import Problem
    from emolab.training.predict import FilePrediction, Predictor


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
    flips: bool | None,
    device: str | None,
) -> None:
    """Classify the images in PATH... (files, folders or zips) with MODEL: champion, the start of an id, or a folder.

    Files are decoded in full; docs/export.md has the recipe. A file that cannot be read or shows nothing gets a line of
    its own, and the command ends with exit code 1. A note stands beside an answer that may be worth little: an image
    of one colour, of a few pixels, or a long strip.

    Faces are found and cut out as by "emolab collect": with auto, a picture whose shorter side has more than 100 pixels
    (collect.tight) is searched, a smaller one is a face crop already. Each face is told with its box and landmarks, in
    pixels of the upright picture, and the detector's score.
    """
    from emolab.cli.common import escape
    from emolab.cli.ui.model_options import config_of, device_of, folder_of
    from emolab.errors import DataError, MissingExtra
    from emolab.loop.model.predict_drawing import draw
    from emolab.loop.model.predict_faces import asked as to_classify
    from emolab.loop.model.predict_files import File, files_of
    from emolab.words import many

    try:
        from emolab.training.predict import load
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    if faces is not None:
        session.overrides += (f"collect.faces={faces}",)
    config = config_of(session).collect
    ignored: Counter[str] = Counter()
    notes: list[Problem] = []
    files = files_of(paths, max_bytes=config.max_bytes, ignored=ignored, notes=notes)
    if not files:
        raise DataError(
            "There are no images in these paths.",
            hint="Files are taken as they are; in folders and zips, names must end in .jpg, .png and so on.",
        )
    predictor = load(folder_of(session, model), device=device_of(session, device))
    if flips is not None:
        predictor = predictor.with_flips(flips)
    asked = list(to_classify(files, config, session.progress))
    answers = _answers(session, predictor, asked, config.max_pixels)
    classes = predictor.checkpoint.classes
    rows = [row_of(answer, classes, one) for answer, one in zip(answers, asked, strict=True)]
    media = {file.name: file.media for file in files if isinstance(file, File)}
    drawn = [] if draw_to is None else draw(rows, media, draw_to, config.max_pixels, session.progress)
    found = any(one.face is not None for one in asked)
    told = {
        "model": predictor.checkpoint.id,
        "classes": classes,
        "files": len(files),
        "predictions": rows,
        "notes": [*map(str, notes)],
    }
    session.emit(told if draw_to is None else {**told, "drawn": drawn})
    if as_csv and not session.json:
        print_csv(rows, classes, faces=config.faces != "off")
    listed = session.json or as_csv or show(session, rows, faces=found)
    for note in notes:
        session.say(f"[yellow]note:[/] {escape(str(note))}")
    if draw_to is not None:
        session.say(f"[green]✓[/] {many(len(drawn), 'picture')} with boxes and bars in {escape(str(draw_to))}")
    if ignored:
        session.say(f"[dim]Left alone: {other_files(ignored)[2]}[/]")
    bad = len({one.place for answer, one in zip(answers, asked, strict=True) if answer.probs is None})
    if bad:
        where = "each is listed with its reason" if listed else "--json or --csv list each with its reason"
        raise DataError(f"{bad} of {len(files)} images could not be classified; {where}.")


def _answers(session: Session, predictor: Predictor, asked: list[Asked], max_pixels: int) -> list[FilePrediction]:
    """One answer for each of ``asked``, in order; by the quickest engine where there is a workspace to keep it in."""
    import warnings
    from functools import partial

    from emolab.cli.ui.model_options import workspace_of
    from emolab.training.predict import FilePrediction, predict_media, quickened, some_of

    items = [(one.name, one.media) for one in asked if one.media is not None]
    workspace = workspace_of(session, settled=True)
    if workspace is not None:
        predictor = quickened(
            predictor,
            workspace.config.training,
            n=len(items),
            images=partial(some_of, items, predictor.checkpoint.preprocessing),
            cache=workspace.cache,
            exact=True,
            progress=session.progress,
        )
    found = predict_media(predictor, items, max_pixels=max_pixels, progress=session.progress)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # on sizes and damaged tags; what matters is in the answer
        return [
            FilePrediction(name=one.name, probs=None, error=one.error) if one.media is None else next(found)
            for one in asked
        ]
