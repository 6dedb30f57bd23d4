"""A model that answers without PyTorch: pixels in, calibrated probabilities out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emolab.inference.probabilities import mirrored, softmax, together

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from emolab.inference.model_document import Checkpoint
    from emolab.inference.runtime import Runner
    from emolab.modalities.preparing import Preprocessing


@dataclass(frozen=True)
class ServedModel:
    """What answers: a ``runner`` and how its answers are to be read.

    ``document`` is what its file says, ``conformal`` what it states about sets of classes
    (:mod:`emolab.inference.uncertainty`). With ``mirrored`` every image is judged with its mirror image, by the mean of
    their logits; ``temperature`` is ``None`` where the file has done both, and gives probabilities as they are.
    """

    runner: Runner
    id: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    mirrored: bool = False
    temperature: float | None = None
    conformal: Mapping[str, Any] = field(default_factory=dict)

    @property
    def card(self) -> str:
        """The model card, in Markdown; empty where the file has none."""
        return self.runner.card

    @property
    def document(self) -> Mapping[str, Any]:
        """What the file says about itself."""
        return self.runner.document

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities (n, k) of decoded images (n, size, size, channels)."""
        return self.probabilities_and_features(pixels)[0]

    def probabilities_and_features(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same with the features (n, d) of the images alone."""
        probs, logits, features = self.runner(pixels)
        if self.temperature is None:
            return probs, features
        if self.mirrored:
            logits = together(logits, self.runner(mirrored(pixels))[1])
        return softmax(logits, self.temperature), features


def of_file(runner: Runner) -> ServedModel:
    """The model in an exported file: how it judges and its temperature are inside."""
    return ServedModel(
        runner,
        str(runner.document["model"]),
        runner.classes,
        runner.preprocessing,
        conformal=runner.document.get("conformal", {}),
    )


def of_engine(runner: Runner, described: Checkpoint) -> ServedModel:
    """The model that ``described`` says, run by an export of its network that looks at single images."""
    return ServedModel(
        runner,
        described.id,
        described.classes,
        described.preprocessing,
        mirrored=described.flips,
        temperature=described.temperature,
        conformal=described.conformal,
    )
