"""A trained model says what images show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.given import check_given
from emolab.loop.model.predicting.predict_out import BOX, LANDMARKS
from emolab.progress import SILENT
from emolab.results import Result, Share, Table
from emolab.words import short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from emolab.config import CollectConfig, Config
    from emolab.loop.model.predicting.predict_files import File
    from emolab.loop.model.predicting.predict_own import OwnRows
    from emolab.modalities.own_models import OwnModel
    from emolab.modalities.problems import Problem
    from emolab.progress import Progress
    from emolab.serving.answers import FaceAnswer, ImageAnswer
    from emolab.serving.given import Media
    from emolab.serving.predictor import Predictor
    from emolab.workspace import Workspace

    #: What may be classified: a path (file, folder, zip, or a pattern such as "photos/*.jpg"), the bytes of an image, a
    #: Pillow image, an array (h, w) or (h, w, 3) of 0..255, or one of these with a name.
    Picture = str | Path | bytes | Image.Image | NDArray[np.uint8] | File


@dataclass(frozen=True, kw_only=True)
class Predicted(Result):
    """What ``model`` (id) says: one of ``predictions`` for each image or face, as :func:`rows_of` makes them.

    ``files`` were looked at, ``failed`` of them could not be, each with its reason in ``predictions``; ``faceless``
    ones have no face. ``ignored`` counts files of other kinds by suffix, ``notes`` tell what was passed over. ``drawn``
    and ``explained`` are the pictures written; ``searched`` says whether faces were looked for.
    """

    model: str
    classes: tuple[str, ...]
    files: int
    predictions: list[dict[str, Any]]
    notes: list[str]
    failed: int
    faceless: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    drawn: list[Path] | None = None
    explained: list[Path] | None = None
    searched: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The predictions, ready for JSON."""
        told = {
            "model": self.model,
            "classes": list(self.classes),
            "files": self.files,
            "failed": self.failed,
            "no_face": self.faceless,
            "predictions": self.predictions,
            "notes": self.notes,
        }
        written = {"drawn": self.drawn, "explained": self.explained}
        return {**told, **{name: [*map(str, files)] for name, files in written.items() if files is not None}}

    def tables(self) -> list[Table]:
        """One row an image or face: what it shows and how sure that is, or why there is no answer."""
        rows = [
            (one["file"], one.get("face"), one.get("label"), Share(one["confidence"]) if "label" in one else None,
             one.get("error") or one.get("note"))
            for one in self.predictions
        ]  # fmt: skip
        columns = ("file", "face", "label", "confidence", "note")
        kept = [i for i, name in enumerate(columns) if name not in ("face", "note") or any(row[i] for row in rows)]
        shown = [[row[i] for i in kept] for row in rows]
        return [Table(f"Predictions of model {short(self.model)}", [columns[i] for i in kept], shown)]


def predict(
    model: str | Path,
    images: Picture | Iterable[Picture],
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    faces: str | None = None,
    flips: bool | None = None,
    device: str | None = None,
    unsure: float = 0.0,
    coverage: float | None = None,
    draw_to: Path | None = None,
    explain_to: Path | None = None,
    out: str | Path | None = None,
    progress: Progress = SILENT,
) -> Predicted:
    """Classify ``images`` with ``model``: face48, champion, the start of an id, a folder, or an exported file.

    ``faces``: ``off`` takes images as face crops, ``all`` and ``largest`` find faces, ``auto`` finds them in large
    images [collect.faces]. ``flips`` judges each image with its mirror image [as the model was trained to]. ``device``
    is cpu, cuda, tensorrt or mps [an exported file: cpu; else training.device]. Answers
    with a confidence below ``unsure`` are marked; ``coverage`` (0.8, 0.9 or 0.95) gives for each the set of classes
    that holds the right one as often. ``draw_to`` is a folder for pictures with boxes, ``explain_to`` one for pictures
    of where the model looked, ``out`` a file for the predictions (.json, .jsonl, .csv, .parquet). Settings are
    ``config``, else those of ``workspace``, else the defaults. An image that cannot be read has a row with its reason,
    one without a face a row that says so.
    Raises :class:`DataError` where there is no image at all.
    """
    from emolab.loop.model.predicting.predict_out import check_out, write_out

    if out is not None:
        check_out(Path(out))
    own = _own(workspace, model)
    if own is not None:
        pictures = {"faces": faces, "flips": flips, "device": device, "coverage": coverage}
        done = _by_own(own, images, {**pictures, "draw_to": draw_to, "explain_to": explain_to}, workspace, config,
                       unsure=unsure, progress=progress)  # fmt: skip
    else:
        asked = ask(
            model, images, workspace=workspace, config=config, faces=faces, flips=flips, device=device, unsure=unsure,
            coverage=coverage, progress=progress,
        )  # fmt: skip
        done = _by_network(asked, draw_to=draw_to, explain_to=explain_to, progress=progress)
    if out is not None:
        write_out(Path(out), done)
    return done


def _by_network(asked: Asked, *, draw_to: Path | None, explain_to: Path | None, progress: Progress) -> Predicted:
    """What a network says, with the pictures that are asked for."""
    from emolab.loop.model.predicting.predict_drawing import draw
    from emolab.loop.model.predicting.predict_explaining import explain
    from emolab.modalities.preparing import require_faces

    for wanted, name in ((draw_to, "--draw"), (explain_to, "--explain")):
        if wanted is not None:
            require_faces(asked.predictor.model.preprocessing, name)
    answers = list(asked.answers(progress))
    rows = [row for answer in answers for row in rows_of(answer, asked.classes)]
    done = Predicted(
        model=asked.model,
        classes=asked.classes,
        files=len(asked.files),
        predictions=rows,
        notes=asked.notes,
        failed=sum(answer.error is not None for answer in answers),
        faceless=sum(answer.no_face for answer in answers),
        ignored=asked.ignored,
        searched=asked.predictor.looking.faces != "off",
        drawn=None if draw_to is None else draw(rows, dict(asked.pictures), draw_to, asked.predictor.looking, progress),
    )
    if explain_to is not None:
        done = replace(done, explained=explain(asked.predictor, asked.pictures, explain_to, progress))
    return done


def _own(workspace: Workspace | None, model: str | Path) -> OwnModel | None:
    """The model where its modality runs it by itself."""
    from emolab.loop.model.models import exported, folder_in
    from emolab.modalities.own_models import own_model

    return None if exported(model) is not None else own_model(folder_in(workspace, str(model)))


def _by_own(
    own: OwnModel,
    images: Picture | Iterable[Picture],
    pictures_only: Mapping[str, Any],
    workspace: Workspace | None,
    config: Config | None,
    *,
    unsure: float,
    progress: Progress,
) -> Predicted:
    """What a model says that its modality runs by itself."""
    from emolab.config import Config
    from emolab.loop.model.predicting.predict_own import OwnRows, refuse_pictures_only

    check_given({"option.share": unsure})
    refuse_pictures_only(pictures_only)
    settings = config or (Config() if workspace is None else workspace.config)
    told = OwnRows(own, _several(images), settings, unsure=unsure, progress=progress)
    rows = list(told)
    return Predicted(
        model=own.id,
        classes=own.classes,
        files=told.files,
        predictions=rows,
        notes=told.notes,
        failed=told.failed,
        ignored=told.ignored,
    )


def own_rows(
    model: str | Path,
    images: Picture | Iterable[Picture],
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    unsure: float = 0.0,
    progress: Progress = SILENT,
    **pictures_only: Any,
) -> OwnRows | None:
    """What :func:`predict` says, row by row as they come, of a model that its modality runs; ``None`` for a network."""
    from emolab.config import Config
    from emolab.loop.model.predicting.predict_own import OwnRows, refuse_pictures_only

    own = _own(workspace, model)
    if own is None:
        return None
    check_given({"option.share": unsure})
    refuse_pictures_only(pictures_only)
    settings = config or (Config() if workspace is None else workspace.config)
    return OwnRows(own, _several(images), settings, unsure=unsure, progress=progress)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A model with what it is asked about, ready to answer picture by picture: ``files`` and what was passed over."""

    predictor: Predictor
    files: Sequence[File | Problem]
    notes: list[str]
    ignored: Counter[str]

    @property
    def model(self) -> str:
        """The id of the model."""
        return self.predictor.model.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, in the order of the probabilities."""
        return self.predictor.model.classes

    @property
    def pictures(self) -> list[tuple[str, Media]]:
        """What can be looked at, by name."""
        return _pictures(self.files)

    def answers(self, progress: Progress = SILENT) -> Iterator[ImageAnswer]:
        """One answer for each file, in order, as they come: memory stays the same however many there are."""
        from emolab.modalities.problems import Problem

        found = self.predictor.predict(self.pictures)
        with progress.task("Predicting", len(self.files), unit="images") as bar:
            for file in self.files:
                yield _problem(file, self.model) if isinstance(file, Problem) else next(found)
                bar.advance()


def ask(
    model: str | Path,
    images: Picture | Iterable[Picture],
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    faces: str | None = None,
    flips: bool | None = None,
    device: str | None = None,
    unsure: float = 0.0,
    coverage: float | None = None,
    progress: Progress = SILENT,
) -> Asked:
    """Open ``model`` and find ``images``, as :func:`predict` does, without looking at any of them yet."""
    from emolab.config import Config, apply
    from emolab.errors import ConfigError
    from emolab.loop.model.predicting.predict_model import modality_of, model_for, uncertainty_of
    from emolab.serving.predictor import Predictor

    check_given({"option.share": unsure})
    if _own(workspace, model) is not None:
        raise ConfigError("This model reads no pictures.", hint="Ask it with: own_rows(MODEL, PATHS)")
    config = config or (Config() if workspace is None else workspace.config)
    looking = apply(config, () if faces is None else (f"collect.faces={faces}",)).collect
    files, notes, ignored = _files(images, looking, modality_of(workspace, model))
    pictures = _pictures(files)
    opened = model_for(
        workspace, model, config, pictures=pictures, looking=looking, flips=flips, device=device, progress=progress
    )
    predictor = Predictor(opened, looking, uncertainty=uncertainty_of(opened, unsure, coverage))
    return Asked(predictor=predictor, files=files, notes=[*map(str, notes)], ignored=ignored)


def _pictures(files: Sequence[File | Problem]) -> list[tuple[str, Media]]:
    """Name and content of those that can be looked at."""
    from emolab.loop.model.predicting.predict_files import File

    return [(file.name, file.media) for file in files if isinstance(file, File)]


def _problem(problem: Problem, model: str) -> ImageAnswer:
    from emolab.serving.answers import ImageAnswer

    return ImageAnswer(name=problem.path, model=model, error=f"{problem.kind}: {problem.message}")


def _files(
    images: Picture | Iterable[Picture], config: CollectConfig, modality: str
) -> tuple[list[File | Problem], list[Problem], Counter[str]]:
    """The files behind ``images``, notes about them, and how many others were passed over.

    Raises :class:`DataError` where there is none.
    """
    from emolab.errors import DataError
    from emolab.loop.model.predicting.predict_files import File, files_of, matching
    from emolab.modalities.modality import open_modality

    ignored: Counter[str] = Counter()
    notes: list[Problem] = []
    files: list[File | Problem] = []
    paths: list[Path] = []
    for number, one in enumerate(_several(images), start=1):
        if isinstance(one, str | Path):
            paths += matching(Path(one))
        elif isinstance(one, File):
            files.append(one)
        else:
            files.append(File(name=f"{open_modality(modality).noun} {number}", media=_checked(one)))
    if paths:
        files += files_of(paths, modality, max_bytes=config.max_bytes, ignored=ignored, notes=notes)
    if not files:
        kind = open_modality(modality)
        raise DataError(
            f"There are no {kind.noun}s in these paths.",
            hint=f"Files are taken as they are; in folders and zips, names must end in {kind.endings} and so on.",
        )
    return files, notes, ignored


def _several(images: Picture | Iterable[Picture]) -> Sequence[Picture]:
    """``images`` as a sequence, also where it is a single one."""
    import numpy as np
    from PIL import Image

    from emolab.loop.model.predicting.predict_files import File

    if isinstance(images, str | bytes | Path | Image.Image | File):
        return [images]
    if isinstance(images, np.ndarray) and images.ndim < 4:
        return [images]
    return list(images)


def _checked(image: bytes | Image.Image | NDArray[np.uint8]) -> Media:
    """``image`` as it is. Raises :class:`DataError` for what is none."""
    import numpy as np
    from PIL import Image

    from emolab.errors import DataError
    from emolab.serving.given import as_image

    if not isinstance(image, bytes | np.ndarray | Image.Image):
        raise DataError(
            f"{type(image).__name__} is no image.",
            hint="Give a path, the bytes of a file, a Pillow image or an array of numpy.uint8.",
        )
    as_image(image)
    return image


def rows_of(answer: ImageAnswer, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One picture's answers, ready for JSON: a row for each face, or one that says why there is none."""
    if answer.error is not None:
        return [{"file": answer.name, "error": answer.error, "note": answer.note}]
    if answer.no_face:
        return [{"file": answer.name, "no_face": True, "note": answer.note}]
    return [_row(answer, face, classes) for face in answer.faces]


def _row(answer: ImageAnswer, face: FaceAnswer, classes: tuple[str, ...]) -> dict[str, Any]:
    """One answer; of a face, with its number in the file, box, landmarks and the detector's score."""
    place = face.place
    shared = answer.note if place is None or place.number == 1 else None
    row = {
        "file": answer.name,
        "label": face.label,
        "confidence": round(face.confidence, 6),
        "probs": {name: round(float(p), 6) for name, p in zip(classes, face.probs, strict=True)},
        "note": "; ".join(text for text in (face.note, shared) if text) or None,
    }
    if face.unsure:
        row["unsure"] = True
    if face.among is not None:
        row["among"] = list(face.among)
    if place is not None:
        row |= {
            "face": place.number,
            "box": dict(zip(BOX, place.box, strict=True)),
            "landmarks": {
                name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, place.landmarks, strict=True)
            },
            "score": round(place.score, 4),
        }
    return row
