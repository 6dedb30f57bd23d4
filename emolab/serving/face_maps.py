"""What the model that answers looked at in a face: a small map to be laid over the picture."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.errors import DataError
from emolab.inference.explainer import Explainer, explainer
from emolab.serving.given import Media
from emolab.serving.model_host import ModelHost, ModelVersion
from emolab.serving.predictor import Model, Predictor

#: Values along a side of a map; what a page draws of it is smooth anyway.
SIDE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMap:
    """What spoke for ``label``, which is the answer of ``model``, and what against it.

    ``values`` (n, n) in -1..1 lie over the square around ``cut``, the part (x, y, width, height) of the upright
    picture, or around the whole picture where ``cut`` is ``None``: its side is the longer one, its middle the same.
    ``way`` is how they were found.
    """

    model: str
    label: str
    way: str
    values: NDArray[np.float32]
    cut: tuple[int, int, int, int] | None


class FaceMaps:
    """Maps for the version that ``host`` answers with; how that one is explained is found out once."""

    def __init__(self, host: ModelHost) -> None:
        self._host, self._lock = host, threading.Lock()
        self._known: tuple[ModelVersion, Explainer] | None = None

    def of(self, picture: Media, face: int) -> FaceMap:
        """The map of the ``face``, counted from 1, in ``picture``, by the model that is current now.

        Raises :class:`DataError` for a picture that cannot be read, or that has no such face.
        """
        version = self._host.version
        while not version.begin():  # swapped in this very moment, or the last one ends
            if self._host.version is version:
                raise DataError("The server is about to end.", hint="Try again when it is back.")
            version = self._host.version
        try:
            return self._of(version, picture, face)
        finally:
            version.end()

    def _of(self, version: ModelVersion, picture: Media, face: int) -> FaceMap:
        predictor = version.predictor
        if not isinstance(predictor, Predictor):
            raise DataError(
                "The model that answers here does not look at pictures.", hint="Send it a sentence or the like."
            )
        reading = predictor.read("image", picture)
        if reading.error is not None:
            raise DataError(reading.error, hint="Send a JPEG, PNG, WebP or another picture.")
        if not 1 <= face <= len(reading.crops):
            raise DataError(f"There is no face {face} in the picture.", hint=f"There are {len(reading.crops)}.")
        crop = reading.crops[face - 1]
        best = int(predictor.model.probabilities(crop.pixels[None])[0].argmax())
        way = self._explainer(version, predictor.model)
        return FaceMap(
            model=version.id,
            label=version.classes[best],
            way=way.way,
            values=_small(way.look(crop.pixels, best)),
            cut=crop.cut,
        )

    def _explainer(self, version: ModelVersion, model: Model) -> Explainer:
        with self._lock:
            if self._known is None or self._known[0] is not version:
                self._known = version, explainer(model)
            return self._known[1]


def _small(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """``found`` (n, n) with at most :data:`SIDE` values along a side, the strongest of which is 1 or -1."""
    side = min(SIDE, found.shape[0])
    means = np.asarray(Image.fromarray(found).resize((side, side), Image.Resampling.BOX), np.float32)
    strongest = float(np.abs(means).max())
    return means / strongest if strongest else means
