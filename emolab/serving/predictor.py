"""One predictor for every way in: bytes, files, arrays and frames become typed answers. It knows no framework.

:meth:`Predictor.read` turns a picture into what the network sees, :meth:`Predictor.answer` turns probabilities into an
answer; both may run in any thread. :meth:`Predictor.predict` does all of it for a stream of pictures.
"""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.files import TooLarge
from emolab.inference.uncertainty import Uncertainty
from emolab.modalities.image import media
from emolab.modalities.image.decode import prepare_image
from emolab.modalities.image.faces import chosen, searched
from emolab.modalities.image.media import Picture
from emolab.modalities.preparing import Preprocessing, Unprepared, prepare
from emolab.modalities.problems import Refused
from emolab.serving.answers import Crop, ImageAnswer, Place, Reading, of_reading
from emolab.serving.given import Media, as_bytes, as_image, from_jpeg, size_of

if TYPE_CHECKING:
    from emolab.config import CollectConfig
    from emolab.modalities.image.faces import Detector, Face

#: Pictures that are read ahead, and classified together.
PART = 64


class StatedModel(Protocol):
    """What a model states, however it is computed: enough to name its answers and to say when it is unsure."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, in the order of the probabilities."""

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What it states about sets of classes (:mod:`emolab.inference.uncertainty`)."""


class Model(StatedModel, Protocol):
    """A network that answers: see :class:`emolab.inference.served_model.ServedModel`."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are prepared for it."""

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities (n, k) of images (n, size, size, channels)."""


class BasePredictor(ABC):
    """What every predictor does, whatever its samples are; ``looking`` says how they are taken in."""

    def __init__(self, looking: CollectConfig, *, uncertainty: Uncertainty | None, threads: int) -> None:
        self.looking = looking
        self.uncertainty = uncertainty or Uncertainty()
        self.threads = threads

    @property
    @abstractmethod
    def model(self) -> StatedModel:
        """What answers."""

    @property
    @abstractmethod
    def modality(self) -> str:
        """What the model answers about."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What to send, in words."""

    @property
    @abstractmethod
    def takes_pictures(self) -> bool:
        """Whether it answers about pictures, in which faces may be found."""

    @abstractmethod
    def described(self) -> dict[str, object]:
        """What it takes, ready for JSON."""

    @abstractmethod
    def warm_up(self) -> None:
        """Do what only the first answer needs, so that the first caller does not wait for it."""

    @abstractmethod
    def as_samples(self) -> BasePredictor:
        """The same for samples, in which no faces are looked for."""

    @abstractmethod
    def read(self, name: str, given: Media) -> Reading:
        """What is in the sample called ``name``; one that cannot be read is a reading with ``error``."""

    @abstractmethod
    def probabilities_of(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Probabilities (n, k) of ``crops`` (n), all computed together."""

    def probabilities(self, readings: Sequence[Reading]) -> list[NDArray[np.float32]]:
        """Probabilities (n, k) for the crops of each reading, all computed together."""
        found = self.probabilities_of([crop for reading in readings for crop in reading.crops])
        ends = np.cumsum([len(reading.crops) for reading in readings])
        return np.split(found, ends[:-1]) if len(readings) else []

    def answer(self, reading: Reading, probs: NDArray[np.float32]) -> ImageAnswer:
        """The answer that ``probs`` (n, k) for the crops of ``reading`` make."""
        return of_reading(reading, probs, model=self.model.id, classes=self.model.classes, uncertainty=self.uncertainty)

    def predict(self, pictures: Iterable[tuple[str, Media]]) -> Iterator[ImageAnswer]:
        """One answer for each picture, in order; the next ones are read while some are classified.

        However many pictures there are, only two parts of :data:`PART` are held.
        """
        with warnings.catch_warnings(), ThreadPoolExecutor(self.threads) as pool:
            warnings.filterwarnings("ignore", module=r"PIL\.")  # sizes and damaged tags; what matters is in the answer
            ahead: list[Future[Reading]] = []
            stream = iter(pictures)
            while True:
                part = list(itertools.islice(stream, PART))
                futures = [pool.submit(self.read, name, given) for name, given in part]
                yield from self._answers(ahead)
                if not part:
                    return
                ahead = futures

    def one(self, given: Media, name: str = "image") -> ImageAnswer:
        """The answer for a single picture."""
        reading = self.read(name, given)
        return self.answer(reading, self.probabilities([reading])[0])

    def _answers(self, futures: Sequence[Future[Reading]]) -> Iterator[ImageAnswer]:
        readings = [future.result() for future in futures]
        for reading, probs in zip(readings, self.probabilities(readings), strict=True):
            yield self.answer(reading, probs)


class Predictor(BasePredictor):
    """``model`` with the way to find faces that ``looking`` says (its ``faces``: off, all, largest or auto).

    ``tables`` are those of the speakers of clips, by the name of the clip, for a model normalised by speaker.
    """

    def __init__(
        self,
        model: Model,
        looking: CollectConfig,
        *,
        uncertainty: Uncertainty | None = None,
        threads: int | None = None,
        tables: Mapping[str, NDArray[np.uint8]] | None = None,
    ) -> None:
        super().__init__(looking, uncertainty=uncertainty, threads=threads or min(8, os.cpu_count() or 1))
        self._model = model
        self._tables: Mapping[str, NDArray[np.uint8]] = tables or {}
        self._own = threading.local()

    @property
    def model(self) -> Model:
        """The network that answers."""
        return self._model

    @property
    def modality(self) -> str:
        """What the model answers about."""
        return self.model.preprocessing.modality

    @property
    def expected(self) -> str:
        """What to send, in words."""
        return "Send a JPEG, PNG, WebP or another picture."

    @property
    def takes_pictures(self) -> bool:
        """Whether it answers about pictures, in which faces may be found."""
        return True

    def described(self) -> dict[str, object]:
        """What it takes, ready for JSON."""
        wanted = self.model.preprocessing
        return {"size": wanted.size, "color": wanted.color}

    def warm_up(self) -> None:
        """Compute batches of the sizes to come, so that the first caller does not pay for what an engine sets up."""
        for n in (1, 2):
            self.model.probabilities(np.zeros((n, *self.model.preprocessing.shape), np.uint8))

    def as_samples(self) -> Predictor:
        """The same for samples, in which no faces are looked for."""
        return Predictor(self.model, replace(self.looking, faces="off"), uncertainty=self.uncertainty, threads=2)

    def read(self, name: str, given: Media) -> Reading:
        """What is in the picture called ``name``; one that cannot be read is a reading with ``error``.

        Raises :class:`MissingExtra` where faces are to be found and there is no detector.
        """
        try:
            if callable(given):
                given = given()
            if self._takes_as_it_is(given):
                return self._whole(name, given)
            picture = self._picture(given)
        except (Refused, Unprepared, TooLarge, OSError, DataError) as error:
            return Reading(name=name, error=reason(error))
        return self._faces(name, picture)

    def probabilities_of(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Probabilities (n, k) of ``crops`` (n), all computed together."""
        if not crops:
            return np.empty((0, len(self.model.classes)), np.float32)
        return self.model.probabilities(np.stack([crop.pixels for crop in crops]))

    # -- reading -------------------------------------------------------------------------------------------------------

    def _takes_as_it_is(self, given: Media) -> bool:
        """Whether no face is looked for in it; one that is no image is opened to say why."""
        if self.looking.faces == "off" or not self.model.preprocessing.has_faces:
            return True
        if self.looking.faces != "auto":
            return False
        size = size_of(given)
        return size is not None and not searched(size, mode="auto", tight=self.looking.tight)

    def _whole(self, name: str, given: Media) -> Reading:
        wanted, limit = self.model.preprocessing, self.looking.max_pixels
        image = as_image(given)
        if image is not None and not wanted.has_faces:
            raise Refused("not a file", f"a picture, and this model answers about {wanted.modality}: give it bytes")
        if image is not None:
            found, size = prepare_image(image, wanted), image.size
        else:
            data = as_bytes(given, limit=self.looking.max_bytes)
            found, size = prepare(data, wanted, max_pixels=limit, table=self._tables.get(name)), None
        return Reading(name=name, crops=(Crop(pixels=found.pixels, note=found.note),), size=size)

    def _picture(self, given: Media) -> Picture:
        image = as_image(given)
        if image is not None:
            found = media.from_pixels(image)
        else:
            data = as_bytes(given, limit=self.looking.max_bytes)
            found = media.read(data, max_pixels=self.looking.max_pixels, reduce_to=None)
        return replace(found, format="JPEG") if from_jpeg(given) else found  # it is the file, by another way

    def _faces(self, name: str, picture: Picture) -> Reading:
        looking = self.looking
        found, small = chosen(self._detector().find(picture.image), mode=looking.faces, min_face=looking.min_face)
        notes = [note.message for note in picture.notes]
        note = "; ".join([*notes, small] if small else notes) or None
        crops = [self._crop(picture, face, number) for number, face in enumerate(found, start=1)]
        return Reading(name=name, crops=tuple(crops), note=note, size=picture.size)

    def _crop(self, picture: Picture, face: Face, number: int) -> Crop:
        """The face as collect would keep it: from a JPEG it is written as one again, from all else without loss."""
        box = face.crop(picture.size, margin=self.looking.margin)
        wanted = self.model.preprocessing
        if picture.format == "JPEG":
            prepared = prepare(media.cut(picture.image, box, format="JPEG").data, wanted)
        else:
            prepared = prepare_image(picture.image.crop(box), wanted)
        place = Place(number=number, box=within(face.box, picture.size), landmarks=face.landmarks, score=face.score)
        cut = (box[0], box[1], box[2] - box[0], box[3] - box[1])
        return Crop(pixels=prepared.pixels, place=place, cut=cut, note=prepared.note)

    def _detector(self) -> Detector:
        """This thread's own."""
        found: Detector | None = getattr(self._own, "detector", None)
        if found is None:
            from emolab.modalities.image import detector_weights
            from emolab.modalities.image.faces import Detector

            looking = self.looking
            found = self._own.detector = Detector(
                detector_weights.detector(looking.detector),
                min_score=looking.min_score,
                size=looking.detect_size,
                again=looking.detect_again,
            )
        return found


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


def reason(error: Exception) -> str:
    """Why a sample cannot be used, without its name."""
    match error:
        case Refused():
            return f"{error.kind}: {error.message}"
        case Unprepared():
            return error.reason
        case DataError():
            return error.message
        case OSError():
            return str(error.strerror or error)
        case _:
            return str(error)
