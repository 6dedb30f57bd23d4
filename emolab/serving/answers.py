"""What a model says about images: typed, with everything a page, a file or an API shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.inference.uncertainty import Uncertainty


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in its picture a face is.

    ``number`` counts the faces of the picture from 1, the largest first. ``box`` (x, y, width, height) and the five
    ``landmarks`` (x, y) are in pixels of the upright picture, ``score`` is the detector's in 0..1.
    """

    number: int
    box: tuple[int, int, int, int]
    landmarks: tuple[tuple[float, float], ...]
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """One image to classify: ``pixels`` (size, size, channels) as the network sees them.

    ``place`` and ``cut``, the part (x, y, width, height) of the upright picture that ``pixels`` show, are ``None`` for
    a picture that was taken as it is. ``note`` says why an answer may be worth little.
    """

    pixels: NDArray[np.uint8]
    place: Place | None = None
    cut: tuple[int, int, int, int] | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What was found in one picture: ``crops`` to classify, or ``error`` in words, or neither: no face.

    ``size`` is (width, height) of the upright picture where it was opened whole; ``note`` what had to be assumed.
    """

    name: str
    crops: tuple[Crop, ...] = ()
    error: str | None = None
    note: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceAnswer:
    """What the model says about one image or face: calibrated ``probs`` (k,) in the order of its classes.

    ``unsure`` says that ``confidence`` is below the threshold that was asked for; ``among`` is the set of classes that
    holds the right one as often as was asked for, the likeliest first, where the model was fitted to say so.
    ``labels`` are all classes that apply and ``sample`` what was judged, where a sample may have several.
    """

    probs: NDArray[np.float32]
    label: str
    confidence: float
    unsure: bool = False
    among: tuple[str, ...] | None = None
    place: Place | None = None
    note: str | None = None
    labels: tuple[str, ...] | None = None
    sample: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageAnswer:
    """What model ``model`` (id) says about one picture: a row of ``faces`` each, or ``error``, or no face at all."""

    name: str
    model: str
    faces: tuple[FaceAnswer, ...] = ()
    error: str | None = None
    note: str | None = None
    size: tuple[int, int] | None = None

    @property
    def no_face(self) -> bool:
        """Whether the picture was looked at and there is no face in it."""
        return not self.faces and self.error is None


def of_reading(
    reading: Reading,
    probs: NDArray[np.float32],
    *,
    model: str,
    classes: tuple[str, ...],
    uncertainty: Uncertainty,
) -> ImageAnswer:
    """The answer that ``probs`` (n, k), a row for each crop of ``reading``, make of it."""
    faces = []
    for crop, row in zip(reading.crops, probs, strict=True):
        best = int(row.argmax())
        among = uncertainty.among(row)
        faces.append(
            FaceAnswer(
                probs=row,
                label=classes[best],
                confidence=float(row[best]),
                unsure=uncertainty.unsure(row),
                among=None if among is None else tuple(classes[i] for i in among),
                place=crop.place,
                note=crop.note,
            )
        )
    return ImageAnswer(
        name=reading.name,
        model=model,
        faces=tuple(faces),
        error=reading.error,
        note=reading.note,
        size=reading.size,
    )
