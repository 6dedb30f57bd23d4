"""A predictor for samples that a modality judges by itself, such as sentences: bytes become typed answers.

What is a crop for networks is the sample here, in the form in which it would be kept. So it is judged as those that
the model learned from. A sample may have several labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.files import TooLarge
from emolab.inference.uncertainty import Uncertainty
from emolab.modalities.problems import Refused
from emolab.serving.answers import Crop, ImageAnswer, Reading
from emolab.serving.given import Media, as_bytes
from emolab.serving.predictor import BasePredictor, reason

if TYPE_CHECKING:
    from emolab.config import CollectConfig
    from emolab.modalities.own_models import OwnModel


@dataclass(frozen=True)
class OwnServed:
    """What a model that its modality runs states about itself; its sets hold all labels of a sample."""

    own: OwnModel

    @property
    def id(self) -> str:
        """Its id."""
        return self.own.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, in the order of the probabilities."""
        return self.own.classes

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What it states about sets of classes."""
        return self.own.conformal


class OwnPredictor(BasePredictor):
    """``own`` at work; samples are taken in as ``looking`` says, whose part about faces does not matter."""

    def __init__(self, own: OwnModel, looking: CollectConfig, *, uncertainty: Uncertainty | None = None) -> None:
        super().__init__(looking, uncertainty=uncertainty, threads=1)
        self.own = own

    @property
    def model(self) -> OwnServed:
        """What the model states."""
        return OwnServed(self.own)

    @property
    def modality(self) -> str:
        """What it answers about."""
        return self.own.modality

    @property
    def expected(self) -> str:
        """What to send, in words."""
        return self.own.expected

    @property
    def takes_pictures(self) -> bool:
        """No."""
        return False

    def described(self) -> dict[str, object]:
        """What it takes, ready for JSON."""
        return {"modality": self.modality}

    def warm_up(self) -> None:
        """Judge nothing once: what is needed for it is loaded."""
        self.own.answers([])

    def as_samples(self) -> OwnPredictor:
        """Itself: samples are taken as they are."""
        return self

    def read(self, name: str, given: Media) -> Reading:
        """The sample in the bytes called ``name``; one that cannot be read is a reading with ``error``."""
        try:
            if callable(given):
                given = given()
            data = self.own.form(as_bytes(given, limit=self.looking.max_bytes), masking=self.looking.masking)
        except (Refused, TooLarge, OSError, DataError) as error:
            return Reading(name=name, error=reason(error))
        return Reading(name=name, crops=(Crop(pixels=np.frombuffer(data, np.uint8)),))

    def probabilities_of(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Probabilities (n, k) of the samples in ``crops`` (n), all computed together."""
        return self.own.answers([crop.pixels.tobytes() for crop in crops])[0]

    def answer(self, reading: Reading, probs: NDArray[np.float32]) -> ImageAnswer:
        """The answer that ``probs`` (n, k) make, with all labels that reach their thresholds."""
        made = super().answer(reading, probs)
        said = self.own.labels(probs) if len(probs) else probs
        named = [tuple(name for name, yes in zip(self.own.classes, row, strict=True) if yes) for row in said]
        samples = [
            replace(face, labels=labels, sample=self.own.caption(crop.pixels.tobytes()))
            for face, labels, crop in zip(made.faces, named, reading.crops, strict=True)
        ]
        return replace(made, faces=tuple(samples))
