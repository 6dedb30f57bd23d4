"""Where a model looks, from its last feature map: a class activation map, for the price of one more answer.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning deep features for discriminative localization": where the
features are the mean of a map and one linear layer makes the logits, that layer may be applied at each place of the
map. The mean over all places is then the logit. Here it is the class against the others, each by its probability: the
direction in which the logarithm of the probability of the class grows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.inference import feature_map, runtime
from emolab.inference.probabilities import mirrored, softmax, together

if TYPE_CHECKING:
    from emolab.inference.served_model import ServedModel

#: How far the map's own logits may be from the file's.
_TOLERANCE = 1e-2


def activation(model: ServedModel) -> Callable[[NDArray[np.uint8], int], NDArray[np.float32]] | None:
    """What says for pixels (size, size, channels) and a class how much each pixel speaks for it: (size, size).

    Positive where it speaks for the class, negative where for others. ``None`` where the exported file of ``model``
    offers no such map: features that are no mean of one (VGG19), 8-bit integers, an archive of OpenVINO.
    """
    file = model.runner.file
    if file is None or file.suffix.lower() != ".onnx":
        return None
    content = file.read_bytes()
    _, logits, features = runtime.OUTPUTS
    names = feature_map.find(content, features=features, logits=logits)
    if names is None:
        return None
    session = runtime.plain_session(feature_map.with_outputs(content, names.all))

    def ask(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return _places(*session.run([logits, *names.all], {runtime.INPUT: pixels[None]}))

    def look(pixels: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
        here, places = ask(pixels)
        if model.mirrored:
            turned, their_places = ask(mirrored(pixels[None])[0])
            here, places = together(here, turned), together(places, their_places[..., ::-1])
        # by the others' own probabilities: beside one of almost 1 theirs would be lost in rounding
        temperature = model.temperature or model.document.get("temperature", 1.0)
        others_probs = softmax(np.delete(here, target)[None], temperature)[0]
        against = np.tensordot(others_probs, np.delete(places, target, axis=0), 1)
        return _spread(places[target] - against, pixels.shape[:2])

    try:
        ask(np.zeros(model.preprocessing.shape, np.uint8))
    except _NoMap:
        return None
    return look


class _NoMap(Exception):
    """The values are not what they were taken for."""


def _places(
    logits: NDArray[np.float32],
    maps: NDArray[np.float32],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32] | float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits (k,) of one image, and those of each place (k, h, w), of which they are the mean but for the bias.

    A file that judges the image with its mirror image has two ``maps``, of which the second is mirrored.
    """
    if maps.ndim != 4 or len(maps) > 2 or weights.shape != (logits.shape[1], maps.shape[1]):
        raise _NoMap
    whole: NDArray[np.float32] = (maps[0] + maps[-1][..., ::-1]) / 2 if len(maps) == 2 else maps[0]
    places = np.tensordot(weights, whole, 1)
    if np.abs(places.mean(axis=(1, 2)) + bias - logits[0]).max() > _TOLERANCE:
        raise _NoMap
    return logits[0], places


def _along(row: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.interp(at, np.arange(len(row)), row)
    return found


def _spread(places: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """``places`` (h, w), each the middle of its part of the image, interpolated to ``shape`` (height, width)."""
    for axis, size in enumerate(shape):
        n = places.shape[axis]
        at = (np.arange(size) + 0.5) * n / size - 0.5
        places = np.apply_along_axis(_along, axis, places, at)
    return places.astype(np.float32)
