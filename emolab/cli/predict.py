"""``emolab predict``: classify image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, device_option, flips_option, workspace_command

if TYPE_CHECKING:
    from emolab.config import CollectConfig
    from emolab.training.predict import FilePrediction

    Item = tuple[str, bytes | Path | Callable[[], bytes]]

SHOWN = 40


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

    Images are prepared exactly as for training. A file that cannot be read gets a line of its own, and the command
    ends with exit code 1.
    """
    from functools import partial

    from emolab.cli.models import device_of, folder_of, workspace_of
    from emolab.config import CollectConfig
    from emolab.errors import DataError, MissingExtra

    try:
        from emolab.training.predict import load, predict_media, quickened, some_of
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
    workspace = workspace_of(session)
    config = CollectConfig() if workspace is None else workspace.config.collect
    if faces:
        items, broken = _with_faces(session, files, config)
    else:
        items, broken = [(str(file), partial(_stored_form, file, config.max_pixels)) for file in files], []
    if workspace is not None:
        predictor = quickened(
            predictor,
            workspace.config.training,
            n=len(items),
            images=partial(some_of, items, predictor.checkpoint.preprocessing),
            cache=workspace.cache,
            progress=session.progress,
        )
    answers = [*predict_media(predictor, items, progress=session.progress), *broken]
    classes = predictor.checkpoint.classes
    rows = [_row(answer, classes) for answer in answers]
    session.emit({"model": predictor.checkpoint.id, "classes": classes, "predictions": rows})
    if as_csv and not session.json:
        _print_csv(answers, classes)
    elif not session.json:
        _show(session, rows)
    bad = sum(answer.probs is None for answer in answers)
    if bad:
        raise DataError(f"{bad} of {len(answers)} images could not be classified; each is listed with its reason.")


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


def _stored_form(file: Path, max_pixels: int) -> bytes:
    """The bytes that ``emolab collect`` would have stored for ``file``: upright, stripped, in sRGB."""
    from emolab.datasets import media
    from emolab.datasets.problems import Refused
    from emolab.errors import DataError

    try:
        return media.read(file.read_bytes(), max_pixels=max_pixels).data
    except Refused as error:
        raise DataError(f"{error.kind}: {error.message}") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error


def _with_faces(session: Session, files: list[Path], config: CollectConfig) -> tuple[list[Item], list[FilePrediction]]:
    """One item per face found, named file#1, file#2, ...; files without a face or unreadable ones as answers."""
    from emolab.datasets import media
    from emolab.datasets.faces import Detector
    from emolab.datasets.problems import Refused
    from emolab.datasets.weights import detector
    from emolab.training.predict import FilePrediction

    finder = Detector(detector(config.detector, progress=session.progress), min_score=config.min_score)
    items: list[Item] = []
    broken: list[FilePrediction] = []
    for file in files:
        try:
            picture = media.read(file.read_bytes(), max_pixels=config.max_pixels, reduce_to=None)
        except (Refused, OSError) as error:
            reason = error.message if isinstance(error, Refused) else str(error.strerror)
            broken.append(FilePrediction(name=str(file), probs=None, error=reason))
            continue
        found = [face for face in finder.find(picture.image) if min(face.box[2:]) >= config.min_face]
        if not found:
            broken.append(FilePrediction(name=str(file), probs=None, error="no face found"))
        for i, face in enumerate(found, start=1):
            box = face.crop(picture.size, margin=config.margin)
            items.append((f"{file}#{i}", media.cut(picture.image, box, format=picture.format).data))
    return items, broken


def _row(answer: FilePrediction, classes: tuple[str, ...]) -> dict[str, Any]:
    if answer.probs is None:
        return {"file": answer.name, "error": answer.error}
    best = int(answer.probs.argmax())
    return {
        "file": answer.name,
        "label": classes[best],
        "confidence": round(float(answer.probs[best]), 6),
        "probs": {name: round(float(p), 6) for name, p in zip(classes, answer.probs, strict=True)},
    }


def _print_csv(answers: list[FilePrediction], classes: tuple[str, ...]) -> None:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "label", "confidence", *classes, "error"])
    for answer in answers:
        writer.writerow(_csv_cells(answer, classes))
    click.echo(out.getvalue(), nl=False)


def _csv_cells(answer: FilePrediction, classes: tuple[str, ...]) -> Iterator[str]:
    yield answer.name
    if answer.probs is None:
        yield from [""] * (len(classes) + 2)
        yield answer.error or ""
        return
    best = int(answer.probs.argmax())
    yield classes[best]
    yield from (f"{p:.6f}" for p in (answer.probs[best], *answer.probs))
    yield ""


def _folder(names: list[str]) -> str:
    """The folder, with its slash, that all ``names`` begin with; empty where there is none or a single name.

    >>> _folder(["a/b/c.png", "a/b/d/e.png"]), _folder(["a.png", "b.png"]), _folder(["a/b.png"])
    ('a/b/', '', '')
    """
    from itertools import takewhile

    if len(names) < 2:
        return ""
    levels = zip(*(Path(name).parent.parts for name in names), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return f"{Path(*shared)}/".replace("//", "/") if shared else ""


def _show(session: Session, rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from emolab.cli.common import bar

    shared = _folder([row["file"] for row in rows])

    def cells(row: dict[str, Any]) -> tuple[str, ...]:
        name = escape(row["file"][len(shared) :])
        if "error" in row:
            return (name, "[red]unreadable[/]", "", "", escape(row["error"]))
        others = sorted(row["probs"].items(), key=lambda item: -item[1])[1:3]
        rest = ", ".join(f"{name} {p:.0%}" for name, p in others if p >= 0.05)
        return (name, row["label"], f"{row['confidence']:.0%}", bar(row["confidence"], 8), rest)

    if shared:
        session.say(f"[dim]in {escape(shared)}[/]")
    session.table(
        [("file", "whole"), "answer", ("sure", "right"), "", "else"],
        [cells(row) for row in rows[:SHOWN]],
    )
    if len(rows) > SHOWN:
        session.say(f"[dim]and {len(rows) - SHOWN:,} more; --json or --csv print all of them.[/]")
