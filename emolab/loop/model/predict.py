"""A trained model says what images show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.model.models import folder_in
from emolab.progress import SILENT
from emolab.results import Result, Share, Table
from emolab.words import short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from emolab.config import CollectConfig, Config
    from emolab.loop.model.predict_faces import Asked
    from emolab.loop.model.predict_files import File
    from emolab.modalities.problems import Problem
    from emolab.progress import Progress
    from emolab.training.predict import FilePrediction, Predictor
    from emolab.workspace import Workspace

    #: What may be classified: a path (file, folder, zip), a Pillow image, or an array (h, w) or (h, w, 3) of 0..255.
    Picture = str | Path | Image.Image | NDArray[np.uint8]

BOX = ("x", "y", "width", "height")
#: The person's own right and left, as the detector tells them.
LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


@dataclass(frozen=True, kw_only=True)
class Predicted(Result):
    """What ``model`` (id) says: one of ``predictions`` for each image or face, as :func:`row_of` makes it.

    ``files`` were looked at, ``failed`` of them have no answer, each with its reason in ``predictions``. ``ignored``
    counts files of other kinds by suffix, ``notes`` tell what was passed over. ``drawn`` are the pictures written;
    ``searched`` says whether faces were looked for.
    """

    model: str
    classes: tuple[str, ...]
    files: int
    predictions: list[dict[str, Any]]
    notes: list[str]
    failed: int
    ignored: Counter[str] = field(default_factory=Counter)
    drawn: list[Path] | None = None
    searched: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The predictions, ready for JSON."""
        told = {
            "model": self.model,
            "classes": list(self.classes),
            "files": self.files,
            "predictions": self.predictions,
            "notes": self.notes,
        }
        return told if self.drawn is None else {**told, "drawn": [str(file) for file in self.drawn]}

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
    draw_to: Path | None = None,
    progress: Progress = SILENT,
) -> Predicted:
    """Classify ``images`` with ``model``: face48, champion, the start of an id, or a folder.

    ``faces``: ``off`` takes images as face crops, ``all`` and ``largest`` find faces, ``auto`` finds them in large
    images [collect.faces]. ``flips`` judges each image with its mirror image [as the model was trained to]. ``draw_to``
    is a folder for pictures with boxes. Settings are ``config``, else those of
    ``workspace``, else the defaults. An image that cannot be
    read has a row with its reason. Raises :class:`DataError` where there is no image at all.
    """
    from emolab.config import Config, apply
    from emolab.errors import DataError, MissingExtra
    from emolab.loop.model.predict_drawing import draw
    from emolab.loop.model.predict_faces import asked as to_classify
    from emolab.loop.model.predict_files import File

    try:
        from emolab.training.predict import load
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    config = config or (Config() if workspace is None else workspace.config)
    looking = apply(config, () if faces is None else (f"collect.faces={faces}",)).collect
    files, notes, ignored = _files(images, looking)
    if not files:
        raise DataError(
            "There are no images in these paths.",
            hint="Files are taken as they are; in folders and zips, names must end in .jpg, .png and so on.",
        )
    predictor = load(folder_in(workspace, str(model)), device=device or config.training.device)
    if flips is not None:
        predictor = predictor.with_flips(flips)
    asked = list(to_classify(files, looking, progress))
    answers = _answers(predictor, asked, looking.max_pixels, workspace, progress)
    classes = predictor.checkpoint.classes
    rows = [row_of(answer, classes, one) for answer, one in zip(answers, asked, strict=True)]
    media = {file.name: file.media for file in files if isinstance(file, File)}
    return Predicted(
        model=predictor.checkpoint.id,
        classes=classes,
        files=len(files),
        predictions=rows,
        notes=[*map(str, notes)],
        failed=len({one.place for answer, one in zip(answers, asked, strict=True) if answer.probs is None}),
        ignored=ignored,
        searched=looking.faces != "off",
        drawn=None if draw_to is None else draw(rows, media, draw_to, looking.max_pixels, progress),
    )


def _files(
    images: Picture | Iterable[Picture], config: CollectConfig
) -> tuple[list[File | Problem], list[Problem], Counter[str]]:
    """The files behind ``images``, notes about them, and how many others were passed over."""
    from emolab.loop.model.predict_files import File, files_of

    ignored: Counter[str] = Counter()
    notes: list[Problem] = []
    files: list[File | Problem] = []
    paths: list[Path] = []
    for number, one in enumerate(_several(images), start=1):
        if isinstance(one, str | Path):
            paths.append(Path(one))
        else:
            files.append(File(name=f"image {number}", media=_encoded(one)))
    if paths:
        files += files_of(paths, max_bytes=config.max_bytes, ignored=ignored, notes=notes)
    return files, notes, ignored


def _several(images: Picture | Iterable[Picture]) -> Sequence[Picture]:
    """``images`` as a sequence, also where it is a single one."""
    import numpy as np
    from PIL import Image

    if isinstance(images, str | Path | Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
        return [images]
    return list(images)


def _encoded(image: Image.Image | NDArray[np.uint8]) -> Any:
    """What gives the bytes of ``image``, without loss, in the way of all files."""
    import io

    import numpy as np
    from PIL import Image

    from emolab.errors import DataError

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
            raise DataError(
                f"An array of {image.dtype} with shape {image.shape} is no image.",
                hint="Give (height, width) or (height, width, 3) of numpy.uint8, in the order red, green, blue.",
            )
        image = Image.fromarray(image)
    elif not isinstance(image, Image.Image):
        raise DataError(
            f"{type(image).__name__} is no image.", hint="Give a path, a Pillow image or an array of numpy.uint8."
        )
    picture = image

    def encoded() -> bytes:
        stream = io.BytesIO()
        picture.save(stream, format="PNG")
        return stream.getvalue()

    return encoded


def row_of(answer: FilePrediction, classes: tuple[str, ...], one: Asked) -> dict[str, Any]:
    """One answer, ready for JSON; of a face, with its number in the file, box, landmarks and the detector's score."""
    note = "; ".join(text for text in (answer.note, one.note) if text) or None
    if answer.probs is None:
        return {"file": answer.name, "error": answer.error, "note": note}
    best = int(answer.probs.argmax())
    row = {
        "file": answer.name,
        "label": classes[best],
        "confidence": round(float(answer.probs[best]), 6),
        "probs": {name: round(float(p), 6) for name, p in zip(classes, answer.probs, strict=True)},
        "note": note,
    }
    if one.box is not None and one.score is not None:
        row |= {
            "face": one.face,
            "box": dict(zip(BOX, one.box, strict=True)),
            "landmarks": {
                name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, one.landmarks, strict=True)
            },
            "score": round(one.score, 4),
        }
    return row


def _answers(
    predictor: Predictor, asked: Sequence[Asked], max_pixels: int, workspace: Workspace | None, progress: Progress
) -> list[FilePrediction]:
    """One answer for each of ``asked``, in order; by the quickest engine where there is a workspace to keep it in."""
    import warnings
    from functools import partial

    from emolab.training.predict import FilePrediction, predict_media, quickened, some_of

    items = [(one.name, one.media) for one in asked if one.media is not None]
    if workspace is not None:
        predictor = quickened(
            predictor,
            workspace.config.training,
            n=len(items),
            images=partial(some_of, items, predictor.checkpoint.preprocessing),
            cache=workspace.cache,
            exact=True,
            progress=progress,
        )
    found: Iterator[FilePrediction] = predict_media(predictor, items, max_pixels=max_pixels, progress=progress)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # on sizes and damaged tags; what matters is in the answer
        answers = [
            FilePrediction(name=one.name, probs=None, error=one.error) if one.media is None else next(found)
            for one in asked
        ]
        next(found, None)  # so that it comes to its end, and its bar to the full
        return answers
