"""``emolab predict``: classify image files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, device_option, flips_option, workspace_command
from emolab.cli.predict_show import print_csv, row_of, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emolab.config import CollectConfig
    from emolab.training.predict import FilePrediction, Predictor


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One image to classify: a file, or a face in it; without ``media`` it is answered by ``error`` already.

    ``place`` numbers the files. ``box`` (x, y, width, height) is in pixels of the upright picture, ``score`` the
    detector's.
    """

    name: str
    place: int
    media: bytes | Path | None = None
    error: str | None = None
    box: tuple[int, int, int, int] | None = None
    score: float | None = None


@click.command(short_help="Classify images with a model.")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line per image as CSV on standard output.")
@click.option("--faces", is_flag=True, help="Find faces first and classify each of them.")
@flips_option
@device_option
@workspace_command
def predict(
    session: Session,
    model: str,
    paths: tuple[Path, ...],
    *,
    as_csv: bool,
    faces: bool,
    flips: bool | None,
    device: str | None,
) -> None:
    """Classify the images in PATH... (files or folders) with MODEL: champion, the start of an id, or a folder.

    Files are decoded in full; docs/export.md has the recipe. A file that cannot be read or shows nothing gets a line of
    its own, and the command ends with exit code 1. A note stands beside an answer that may be worth little: an image
    of one colour, of a few pixels, or a long strip. With --faces every face is told with its box, in pixels of the
    upright picture, and the detector's score.
    """
    from emolab.cli.models import config_of, device_of, folder_of
    from emolab.errors import DataError, MissingExtra

    try:
        from emolab.training.predict import load
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    files = _files(paths)
    if not files:
        raise DataError(
            "There are no images in these paths.",
            hint="Files are taken as they are; in folders, names must end in .jpg, .png and so on.",
        )
    predictor = load(folder_of(session, model), device=device_of(session, device))
    if flips is not None:
        predictor = predictor.with_flips(flips)
    config = config_of(session).collect
    if faces:
        asked = list(_faces(files, config))
    else:
        asked = [Asked(name=str(file), place=i, media=file) for i, file in enumerate(files)]
    answers = _answers(session, predictor, asked, config.max_pixels)
    classes = predictor.checkpoint.classes
    rows = [row_of(answer, classes, box=one.box, score=one.score) for answer, one in zip(answers, asked, strict=True)]
    session.emit({"model": predictor.checkpoint.id, "classes": classes, "predictions": rows})
    if as_csv and not session.json:
        print_csv(rows, classes, faces=faces)
    elif not session.json:
        show(session, rows, faces=faces)
    bad = len({one.place for answer, one in zip(answers, asked, strict=True) if answer.probs is None})
    if bad:
        raise DataError(f"{bad} of {len(files)} images could not be classified; each is listed with its reason.")


def _answers(session: Session, predictor: Predictor, asked: list[Asked], max_pixels: int) -> list[FilePrediction]:
    """One answer for each of ``asked``, in order; by the quickest engine where there is a workspace to keep it in."""
    import warnings
    from functools import partial

    from emolab.cli.models import workspace_of
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


def _files(paths: tuple[Path, ...]) -> list[Path]:
    """Files as given, folders as the images in them, in order of their names."""
    from PIL import Image

    from emolab.errors import DataError

    known = Image.registered_extensions()
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(f for f in path.rglob("*") if f.is_file() and f.suffix.lower() in known)
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"There is no {path}.", hint="PATH... are images or folders of images.")
    return files


def _faces(files: list[Path], config: CollectConfig) -> Iterator[Asked]:
    """The faces found, named file#1, file#2, ...; a file without one, or unreadable, as an answer."""
    from emolab.datasets import media
    from emolab.datasets.faces import Detector
    from emolab.datasets.problems import Refused
    from emolab.datasets.weights import detector

    finder = Detector(detector(config.detector), min_score=config.min_score)
    for place, file in enumerate(files):
        try:
            picture = media.read(file.read_bytes(), max_pixels=config.max_pixels, reduce_to=None)
        except (Refused, OSError) as error:
            reason = f"{error.kind}: {error.message}" if isinstance(error, Refused) else str(error.strerror)
            yield Asked(name=str(file), place=place, error=reason)
            continue
        found = [face for face in finder.find(picture.image) if min(face.box[2:]) >= config.min_face]
        if not found:
            yield Asked(name=str(file), place=place, error="no face found")
        for i, face in enumerate(found, start=1):
            crop = media.cut(picture.image, face.crop(picture.size, margin=config.margin), format=picture.format)
            yield Asked(
                name=f"{file}#{i}", place=place, media=crop.data, box=within(face.box, picture.size), score=face.score
            )


def within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """``box`` (x, y, width, height) in whole pixels, cut off at the borders of a picture of ``size``.

    >>> within((-3.2, 4.6, 20.0, 30.0), (100, 30))
    (0, 5, 17, 25)
    """
    spans = [
        (max(0, round(start)), min(limit, round(start + length)))
        for start, length, limit in zip(box[:2], box[2:], size, strict=True)
    ]
    (left, right), (top, bottom) = spans
    return left, top, right - left, bottom - top
