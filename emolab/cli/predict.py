"""``emolab predict``: classify image files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, answering_device_option, flips_option, other_files, within, workspace_command
from emolab.cli.ui.film import BESIDE, channels_of, predict_one_film, report_beside
from emolab.cli.ui.predict_table import show as show_table
from emolab.cli.ui.video_table import has_video, predict_one_video

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from emolab.loop.model.predict import Asked, Predicted
    from emolab.loop.model.predicting.predict_files import File
    from emolab.loop.model.predicting.predict_own import OwnRows

#: Bytes that are read from standard input; more than any image that is looked at may have.
_MOST = 1 << 30


@click.command(short_help="Classify images with a model.")
@click.argument("model")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line per image or face as CSV on standard output.")
@click.option("--jsonl", "as_lines", is_flag=True, help="Print each answer as a line of JSON as soon as it is there.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the answers to FILE: .json, .jsonl, .csv or .parquet.",
)
@click.option(
    "--submission",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="SAMPLE",
    help="A competition's sample file: FILE gets its ids and columns, in its order.",
)
@click.option("--class-order", metavar="NAME,...", help="The classes that numbers in SAMPLE stand for, from 0 on.")
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
    "--explain",
    "explain_to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each face to DIR with what mattered for its answer over it; without a map in the network's file 290 "
    "times the work of the answer.",
)
@click.option(
    "--group-by",
    metavar="folder|REGEX|TABLE",
    help="Who speaks in which file, for a model normalised by speaker (training.normalise); as for emolab collect.",
)
@click.option(
    "--unsure",
    type=within("option.share"),
    default=0.0,
    metavar="SHARE",
    help="Mark answers whose best class has a lower probability than this. Default: none.",
)
@click.option(
    "--coverage",
    type=click.Choice(["0.8", "0.9", "0.95"]),
    help="Give each answer the set of classes that holds the right one in this share of images like the model's own.",
)
@click.option(
    "--timeline",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Of a video: write a row for each face of each frame to FILE.csv or FILE.jsonl.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=BESIDE,
    metavar="[FILE]",
    help="Of a video: write a page with the time of each face to FILE; without a FILE beside the video.",
)
@click.option("--face", metavar="MODEL", help="Of a video alone: who judges the faces, or none.  [face48]")
@click.option(
    "--voice", metavar="MODEL", help="Of a video alone: who judges the voice, or none.  [a champion, voice16]"
)
@click.option("--words", metavar="MODEL", help="Of a video alone: who judges what is said, or none.  [champion]")
@click.option(
    "--transcript",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Of a video alone: what is said, with times, as .srt, .vtt or .jsonl.",
)
@click.option(
    "--weights",
    metavar="CHANNEL=WEIGHT,...",
    help="Of a video alone: how much face, voice and words count, 0 to 4.  [1 each]",
)
@flips_option
@answering_device_option(also_torch=True)
@workspace_command
def predict(
    session: Session,
    model: str,
    paths: tuple[Path, ...],
    *,
    as_csv: bool,
    as_lines: bool,
    out: Path | None,
    faces: str | None,
    draw_to: Path | None,
    explain_to: Path | None,
    group_by: str | None,
    unsure: float,
    coverage: str | None,
    flips: bool | None,
    device: str | None,
    **films: Any,
) -> None:
    """Classify the images in PATH... with MODEL: champion, the start of an id, a folder, or an exported file.

    PATH is a file, a folder, a zip, a pattern such as "photos/*.jpg", or - for an image on standard input.

    Files are decoded in full; docs/export.md has the recipe. A file that cannot be read or shows nothing gets a line of
    its own, and the command ends with exit code 1. A note stands beside an answer that may be worth little: an image
    of one colour, of a few pixels, or a long strip.

    Faces are found and cut out as by "emolab collect": with auto, a picture whose shorter side has more than 100 pixels
    (collect.tight) is searched, a smaller one is a face crop already. Each face is told with its box and landmarks, in
    pixels of the upright picture, and the detector's score.

    The faces of a video (one PATH) are followed from frame to frame, each with its probabilities over time.

    "emolab predict VIDEO" without a MODEL judges faces, voice and words, each by its own model, and puts together what
    they say of each turn.
    """
    from emolab.cli.ui.model_options import config_of, folder_of, workspace_of
    from emolab.loop.model.models import exported
    from emolab.loop.model.predict import predict as run

    form = "csv" if as_csv else "jsonl" if as_lines else None
    if _of_video(session, model, paths, form, {"flips": flips, "device": device}, **films):
        return
    place = exported(model) or folder_of(session, model)
    how: dict[str, Any] = {
        "workspace": workspace_of(session, settled=True), "config": config_of(session), "progress": session.progress,
        "faces": faces, "flips": flips, "device": device, "group_by": group_by, "unsure": unsure,
        "coverage": None if coverage is None else float(coverage),
    }  # fmt: skip
    images = [_standard_input() if str(path) == "-" else path for path in paths]
    if as_lines:
        _as_lines(session, place, images, how)
    else:
        like = {name: films[name] for name in ("submission", "class_order")}
        done = run(place, images, draw_to=draw_to, explain_to=explain_to, out=out, **like, **how)
        _show(session, done, as_csv=as_csv, written={draw_to: done.drawn, explain_to: done.explained}, out=out)


def _of_video(
    session: Session,
    model: str,
    paths: Sequence[Path],
    form: str | None,
    how: Mapping[str, Any],
    *,
    timeline: Path | None,
    report: Path | None,
    submission: Path | None,
    class_order: str | None,
    **channels: Any,
) -> bool:
    """Whether a video was given, whose faces, or whose faces, voice and words, have been judged then."""
    from emolab.cli.ui.model_options import folder_of
    from emolab.loop.model.models import exported
    from emolab.loop.model.predict_video import judges_words

    given = [name for name, one in (("--submission", submission), ("--class-order", class_order)) if one is not None]
    if given and (channels_of(model, paths, channels) or has_video(paths, timeline, report)):
        raise click.UsageError(f"{given[0]} is of pictures, not of a video.")
    if channels_of(model, paths, channels):
        predict_one_film(session, Path(model), report=report, timeline=timeline, **how, **channels)
        return True
    report = report_beside(report, paths)
    if not has_video(paths, timeline, report):
        return False
    place = exported(model) or folder_of(session, model)
    if timeline is None and report is None and judges_words(place):
        return False  # a model of sentences answers for what is said, as in any recording
    predict_one_video(session, place, paths, form=form, timeline=timeline, report=report, **how)
    return True


def _as_lines(session: Session, place: Path, images: Sequence[File | Path], how: Mapping[str, Any]) -> None:
    """Print a line of JSON for each answer as it comes."""
    from emolab.loop.model.predict import ask, own_rows

    _refuse_with_lines()
    rows = own_rows(place, images, **how)
    if rows is None:
        _print_lines(session, ask(place, images, **how))
    else:
        _print_rows(session, rows)


def _refuse_with_lines() -> None:
    """Raise ``UsageError`` for what cannot be had together with a line for each answer as it comes."""
    asked = click.get_current_context().params
    options = {
        "as_csv": "csv",
        "as_json": "json",
        "out": "out",
        "submission": "submission",
        "class_order": "class-order",
        "draw_to": "draw",
        "explain_to": "explain",
    }
    given = [f"--{option}" for name, option in options.items() if asked.get(name)]
    if given:
        raise click.UsageError(f"--jsonl and {' and '.join(given)} exclude each other.")


def _standard_input() -> File:
    """The image that is piped in."""
    from emolab.loop.model.predicting.predict_files import File

    return File("standard input", sys.stdin.buffer.read(_MOST + 1))


def _print_lines(session: Session, asked: Asked) -> None:
    """Print every answer as a line of JSON as soon as it is there."""
    import json

    failed = 0
    for answer in asked.answers(session.progress):
        failed += answer.error is not None
        for row in asked.rows(answer):
            click.echo(json.dumps(row))
    _passed_over(session, asked.notes, asked.ignored)
    _end(failed, len(asked.files), listed=True)


def _print_rows(session: Session, rows: OwnRows) -> None:
    """The same of a model that its modality runs by itself."""
    import json

    for row in rows:
        click.echo(json.dumps(row))
    _passed_over(session, rows.notes, rows.ignored)
    _end(rows.failed, rows.files, listed=True)


def _show(
    session: Session,
    done: Predicted,
    *,
    as_csv: bool,
    written: Mapping[Path | None, list[Path] | None],
    out: Path | None,
) -> None:
    """Print all answers as JSON, CSV or a table, and what was ``written`` where, passed over or failed."""
    from emolab.loop.model.predicting.predict_out import csv_text
    from emolab.words import many

    rows = done.predictions
    session.emit(done)
    if done.normalised_by is not None:
        session.say(f"[dim]Clips are normalised by {done.normalised_by}: each answer depends on the others given.[/]")
    if as_csv and not session.json:
        click.echo(csv_text(rows, done.classes, faces=done.searched), nl=False)
    listed = session.json or as_csv or show_table(session, rows, faces=any("box" in row for row in rows))
    for folder, pictures in written.items():
        if folder is not None and pictures is not None:
            what = "boxes and bars" if pictures is done.drawn else "what mattered over the faces"
            session.wrote(f"{many(len(pictures), 'picture')} with {what}", folder)
    like = click.get_current_context().params.get("submission")
    session.wrote(many(len(rows), "row") if like is None else "The submission", out)
    _passed_over(session, done.notes, done.ignored)
    _end(done.failed, done.files, listed=listed or out is not None)


def _passed_over(session: Session, notes: Sequence[str], ignored: Counter[str]) -> None:
    """Say what is worth a word, and which files are of other kinds."""
    session.notes(notes)
    if ignored:
        session.say(f"[dim]Left alone: {other_files(ignored)[2]}[/]")


def _end(failed: int, files: int, *, listed: bool) -> None:
    """Raise :class:`DataError` when some files could not be classified."""
    from emolab.errors import DataError

    if failed:
        where = "each is listed with its reason" if listed else "--json or --csv list each with its reason"
        raise DataError(f"{failed} of {files} files could not be classified; {where}.")
