"""The faces of one stream of frames: found, followed from frame to frame, and cut out for the model.

:meth:`FaceStream.look` is quick (a few milliseconds): it detects every ``detect_every`` seconds and moves the boxes in
between. :meth:`FaceStream.classify` asks the model; its answer may come later, for a frame that is gone, and still
counts (see :meth:`FaceStream.learn`). :meth:`FaceStream.answer` does both, for a file where nothing is in a hurry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.modalities.image.decode import prepare_image
from emolab.modalities.image.faces import Face
from emolab.modalities.image.reading import Unreadable
from emolab.modalities.preparing import require_faces
from emolab.serving.live.frame_answers import FrameAnswer, TrackedFace
from emolab.serving.live.smoothing import Smoother
from emolab.serving.live.tracker import Tracker, TrackRules
from emolab.serving.predictor import Model, within

if TYPE_CHECKING:
    from emolab.config import CollectConfig

#: Pixels of the longer side to which a frame is reduced before faces are looked for.
DETECT_SIZE = 320
#: A frame that differs from the one before by this share of the range from black to white, on average, is a cut.
_CUT = 0.16


@dataclass(frozen=True, kw_only=True)
class StreamRules:
    """``smooth``: time constant of the average, in seconds. ``detect_every``: seconds between two looks for faces.

    ``most``: how many faces, the largest ones, are followed. ``margin`` is added around a face as by collect.
    """

    smooth: float = 0.5
    detect_every: float = 0.05
    most: int = 16
    min_face: int = 32
    margin: float = 0.25
    tracks: TrackRules = field(default_factory=TrackRules)


class FaceFinder(Protocol):
    """What finds faces: see :class:`emolab.modalities.image.faces.Detector`."""

    def find_pixels(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """The faces of pixels (height, width, 3), blue first; largest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One frame before the model was asked: ``crops`` (n, size, size, channels) of its ``faces``, in their order."""

    seconds: float
    size: tuple[int, int]
    faces: tuple[TrackedFace, ...]
    crops: NDArray[np.uint8]
    cut: bool = False


class FaceStream:
    """One stream of frames before ``model``; not for several threads at once."""

    def __init__(self, model: Model, finder: FaceFinder, rules: StreamRules | None = None) -> None:
        require_faces(model.preprocessing, "A video")
        self.model = model
        self.rules = rules or StreamRules()
        self._finder = finder
        self._tracker = Tracker(self.rules.tracks)
        self._smoother = Smoother(self.rules.smooth)
        self._cuts = CutDetector()
        self._looked: float | None = None
        self._scores: dict[int, float] = {}

    def look(self, seconds: float, pixels: NDArray[np.uint8]) -> Look:
        """The faces of a frame (height, width, 3), red first, which comes after all that were looked at before."""
        height, width = pixels.shape[:2]
        cut = self._cuts(pixels)
        if cut:
            self._tracker.clear()
        fresh = cut or self._looked is None or seconds - self._looked >= self.rules.detect_every - 1e-6
        if fresh:
            found = self._found(pixels)
            tracks = self._tracker.update(seconds, [face.box for face in found])
            self._scores = {track.id: found[track.source].score for track in tracks if track.source is not None}
            self._looked = seconds
            self._smoother.keep(self._tracker.alive)
        else:
            tracks = self._tracker.at(seconds)
        faces, crops = [], []
        for track in tracks:
            box = within(track.box, (width, height))
            crop = self._crop(pixels, Face(track.box, (), 1.0)) if min(box[2:]) > 0 else None
            if crop is not None:
                score = self._scores.get(track.id) if fresh else None
                faces.append(TrackedFace(track=track.id, box=box, score=score, smoothed=self._smoother.now(track.id)))
                crops.append(crop)
        wanted = self.model.preprocessing
        none = np.empty((0, *wanted.shape), np.uint8)
        stacked = np.stack(crops) if crops else none
        return Look(seconds=seconds, size=(width, height), faces=tuple(faces), crops=stacked, cut=cut)

    def classify(self, look: Look) -> NDArray[np.float32]:
        """The model's probabilities (n, k) for the faces of ``look``. Touches nothing else: any thread may call it."""
        if not look.faces:
            return np.empty((0, len(self.model.classes)), np.float32)
        return self.model.probabilities(look.crops)

    def learn(self, look: Look, probs: NDArray[np.float32]) -> None:
        """Let ``probs`` (n, k), the answer for ``look``, count for the tracks that are still there."""
        alive = self._tracker.alive
        for face, row in zip(look.faces, probs, strict=True):
            if face.track in alive:
                self._smoother.update(face.track, look.seconds, row)

    def answer_of(self, look: Look, probs: NDArray[np.float32] | None) -> FrameAnswer:
        """What to say about ``look``: with ``probs`` (n, k), or with what is known of its tracks from before."""
        if probs is not None:
            self.learn(look, probs)
        faces = tuple(
            TrackedFace(
                track=face.track,
                box=face.box,
                score=face.score,
                probs=None if probs is None else probs[place],
                smoothed=self._smoother.now(face.track),
            )
            for place, face in enumerate(look.faces)
        )
        return FrameAnswer(seconds=look.seconds, size=look.size, faces=faces, cut=look.cut)

    def answer(self, seconds: float, pixels: NDArray[np.uint8]) -> FrameAnswer:
        """The answer for a frame, whole: found, classified, smoothed."""
        look = self.look(seconds, pixels)
        return self.answer_of(look, self.classify(look))

    def _found(self, pixels: NDArray[np.uint8]) -> list[Face]:
        import cv2

        found = self._finder.find_pixels(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False))
        return [face for face in found if min(face.box[2:]) >= self.rules.min_face][: self.rules.most]

    def _crop(self, pixels: NDArray[np.uint8], face: Face) -> NDArray[np.uint8] | None:
        """The face as the predictor cuts it out of the same pixels; ``None`` where it shows nothing."""
        height, width = pixels.shape[:2]
        left, top, right, bottom = face.crop((width, height), margin=self.rules.margin)
        if right <= left or bottom <= top:
            return None
        image = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
        try:
            return prepare_image(image, self.model.preprocessing).pixels
        except Unreadable:
            return None


class CutDetector:
    """Tells whether a frame is of another scene than the one before: a cut, after which nobody is who they were."""

    def __init__(self, least: float = _CUT) -> None:
        self._least = least * 255
        self._last: NDArray[np.float32] | None = None

    def __call__(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether ``pixels`` (height, width, 3) differ that much, in 16 x 12 cells of gray without their mean."""
        step = max(1, min(pixels.shape[:2]) // 48)
        import cv2

        gray = cv2.cvtColor(np.ascontiguousarray(pixels[::step, ::step]), cv2.COLOR_RGB2GRAY)
        cells = np.asarray(cv2.resize(gray, (16, 12), interpolation=cv2.INTER_AREA), np.float32)
        cells = cells - cells.mean()
        last, self._last = self._last, cells
        return last is not None and float(np.abs(cells - last).mean()) > self._least


def stream_rules(looking: CollectConfig, *, smooth: float = 0.5, detect_every: float = 0.05) -> StreamRules:
    """Rules with the margin and smallest face that collect has."""
    return StreamRules(smooth=smooth, detect_every=detect_every, min_face=looking.min_face, margin=looking.margin)


def finder_for(looking: CollectConfig, *, size: int = DETECT_SIZE) -> FaceFinder:
    """The detector of collect, looking once, at ``size`` pixels.

    Raises :class:`MissingExtra` without ONNX Runtime.
    """
    from emolab.modalities.image import detector_weights
    from emolab.serving.live.live_finder import LiveFinder

    return LiveFinder(detector_weights.detector(looking.detector), min_score=looking.min_score, size=size)
