"""A model as the log of its answers and the monitor see it, a network or one that its modality runs by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from emolab.files import TooLarge, read_file
from emolab.modalities.preparing import Unprepared, prepare
from emolab.modalities.problems import Refused
from emolab.monitoring.served_log import LogShape

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emolab.inference.served_model import ServedModel
    from emolab.modalities.own_models import OwnModel

#: Quality that is measured of what a network saw of a picture; what is heard has none.
PICTURE_QUALITY = ("blur", "brightness", "contrast")

#: What a model is shown of each sample: pixels, or the bytes of one that its modality judges.
Shown = Sequence["NDArray[np.uint8]"]


class LoggedModel(Protocol):
    """What answers, and what of it is kept."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, in the order of the probabilities."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of :class:`emolab.monitoring.reference.Observations`."""

    @property
    def quality_names(self) -> tuple[str, ...]:
        """What :meth:`quality` measures."""

    def seen(self, media: Path, *, max_pixels: int) -> NDArray[np.uint8] | None:
        """What the model is shown of a sample's file; ``None`` where it cannot be read."""

    def answers(self, shown: Shown) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (n, k) of what it is ``shown`` (n, not 0), and embeddings (n, d)."""

    def quality(self, shown: Shown) -> NDArray[np.float32]:
        """Quality (n, q) of what it is ``shown`` (n, not 0)."""


def shape_of_log(model: LoggedModel, width: int) -> LogShape:
    """The columns of the log of ``model``, whose embeddings are ``width`` numbers."""
    return LogShape(
        model=model.id, classes=model.classes, width=width, quality=model.quality_names, thresholds=model.thresholds
    )


@dataclass(frozen=True)
class LoggedNetwork:
    """A network of pictures or clips: each sample has one label."""

    model: ServedModel

    @property
    def id(self) -> str:
        """Its id."""
        return self.model.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes."""
        return tuple(self.model.classes)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """None."""
        return ()

    @property
    def quality_names(self) -> tuple[str, ...]:
        """That of pictures; nothing of clips."""
        return PICTURE_QUALITY if self.model.preprocessing.has_faces else ()

    def seen(self, media: Path, *, max_pixels: int) -> NDArray[np.uint8] | None:
        """The pixels (size, size, channels) of a sample's file."""
        try:
            return prepare(media, self.model.preprocessing, max_pixels=max_pixels).pixels
        except Unprepared:
            return None

    def answers(self, shown: Shown) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and features of pixels."""
        return self.model.probabilities_and_features(np.stack(shown))

    def quality(self, shown: Shown) -> NDArray[np.float32]:
        """In the order of :data:`PICTURE_QUALITY`."""
        if not self.quality_names:
            return np.empty((len(shown), 0), np.float32)
        from PIL import Image

        from emolab.modalities.image.quality import gray_thumbnail, judge

        images = [Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one) for one in shown]
        judged = judge([gray_thumbnail(image) for image in images], [image.size for image in images])
        return np.array([[one.quality[name] for name in PICTURE_QUALITY] for one in judged], np.float32)


@dataclass(frozen=True)
class LoggedOwn:
    """A model that its modality runs by itself: it says of each class whether it applies, so samples may have several.

    What it is shown are the bytes of a sample in the form in which it is kept.
    """

    own: OwnModel

    @property
    def id(self) -> str:
        """Its id."""
        return self.own.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes."""
        return self.own.classes

    @property
    def thresholds(self) -> tuple[float, ...]:
        """From which probability on each class is a label."""
        return tuple(float(value) for value in self.own.thresholds)

    @property
    def quality_names(self) -> tuple[str, ...]:
        """What its modality measures."""
        return self.own.quality_names

    def seen(self, media: Path, *, max_pixels: int) -> NDArray[np.uint8] | None:  # noqa: ARG002 - it has no pixels
        """The bytes of a sample's file."""
        try:
            data = self.own.form(read_file(media), masking=False)
        except (Refused, TooLarge, OSError):
            return None
        return np.frombuffer(data, np.uint8)

    def answers(self, shown: Shown) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and features of samples. Raises ``ValueError`` for what is none."""
        probs, features, unread = self.own.embedded(_bytes(shown))
        if unread:  # seen() and the server refuse them
            raise ValueError(f"{len(unread)} samples of {len(shown)} cannot be read: {next(iter(unread.values()))}")
        return probs, features

    def quality(self, shown: Shown) -> NDArray[np.float32]:
        """In the order of the names."""
        return self.own.quality(_bytes(shown))


def _bytes(shown: Shown) -> list[bytes]:
    return [one.tobytes() for one in shown]
