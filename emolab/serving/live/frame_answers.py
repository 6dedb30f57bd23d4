"""What is said about one frame: each face with its track, box, and probabilities, both raw and smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedFace:
    """One face of a frame: ``box`` (x, y, width, height) in whole pixels of the frame, within its borders.

    ``probs`` (k,) are the model's for this frame, ``None`` where it was not asked or has not answered yet.
    ``smoothed`` (k,) is their average over time, ``None`` before the first answer for this track. ``score`` is the
    detector's in 0..1, ``None`` on frames between two looks.
    """

    track: int
    box: tuple[int, int, int, int]
    score: float | None = None
    probs: NDArray[np.float32] | None = None
    smoothed: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameAnswer:
    """What there is in the frame of ``seconds``, of ``size`` (width, height). ``cut``: another scene began here."""

    seconds: float
    size: tuple[int, int]
    faces: tuple[TrackedFace, ...] = ()
    cut: bool = False


def best(face: TrackedFace, classes: Sequence[str]) -> tuple[str, float] | None:
    """The class that is shown for ``face`` and its smoothed probability; ``None`` before there are any."""
    if face.smoothed is None:
        return None
    place = int(face.smoothed.argmax())
    return classes[place], float(face.smoothed[place])


def plain(answer: FrameAnswer, classes: Sequence[str]) -> dict[str, Any]:
    """``answer`` ready for JSON, as the page and other programs get it."""
    return {
        "seconds": round(answer.seconds, 4),
        "size": list(answer.size),
        "cut": answer.cut,
        "faces": [_face(face, classes) for face in answer.faces],
    }


def _face(face: TrackedFace, classes: Sequence[str]) -> dict[str, Any]:
    shown = best(face, classes)
    return {
        "track": face.track,
        "box": list(face.box),
        "score": None if face.score is None else round(face.score, 4),
        "label": None if shown is None else shown[0],
        "probs": named(face.probs, classes),
        "smoothed": named(face.smoothed, classes),
    }


def named(probs: NDArray[np.float32] | None, classes: Sequence[str]) -> dict[str, float] | None:
    """Each class with its probability, to five digits."""
    return None if probs is None else {name: round(float(p), 5) for name, p in zip(classes, probs, strict=True)}
