"""Where a model looks, by whichever way it allows: its own feature map, else by covering parts of the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emolab.inference.activation import activation
from emolab.inference.saliency import occlusion
from emolab.inference.served_model import ServedModel

#: The two ways: one more answer of the file's own map, or some hundred answers about covered parts.
ACTIVATION, OCCLUSION = "activation", "occlusion"


class Answering(Protocol):
    """What can be asked about pixels."""

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities (n, k) of images (n, size, size, channels)."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """``look`` gives for pixels (size, size, channels) and the place of a class how much each pixel spoke for it.

    (size, size), positive where it spoke for the class and negative where against it; ``way`` is how that is found.
    """

    way: str
    look: Callable[[NDArray[np.uint8], int], NDArray[np.float32]]


def explainer(model: Answering) -> Explainer:
    """How ``model`` can be explained; reads its exported file once where that has a map."""
    found = activation(model) if isinstance(model, ServedModel) else None
    if found is not None:
        return Explainer(ACTIVATION, found)
    return Explainer(OCCLUSION, partial(occlusion, model.probabilities))
