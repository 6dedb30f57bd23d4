"""Where in an image a model looks, found by asking it alone: no gradients, so any exported file can be explained.

It is for what has no feature map of its own (:mod:`emolab.inference.activation`), which costs a hundredth.

Occlusion (Zeiler, Fergus 2014, "Visualizing and understanding convolutional networks"): parts of the image are covered
with what surrounds them, and the map says how much the probability of a class falls. The deletion test (Petsiuk, Das,
Saenko 2018, "RISE: randomized input sampling for explanation of black-box models") judges a map: when the pixels it
calls important are taken away first, the probability must fall sooner than in a random order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Probabilities = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

#: Sides of the patches, as shares of the image's side; the map is the mean over both.
PATCHES = (0.33, 0.2)
#: Patches along one side.
STEPS = 12
#: Images that are asked about at once.
BATCH = 64
#: Parts in which the pixels are taken away by :func:`deletion`.
PARTS = 16


def occlusion(model: Probabilities, pixels: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
    """How much each pixel of ``pixels`` (size, size, channels) matters for class ``target``: (size, size), at most 1.

    Positive where covering it lowers the probability, negative where it raises it; 288 images are asked about.
    """
    size = pixels.shape[0]
    plain = float(model(pixels[None])[0, target])
    total = np.zeros((size, size), np.float64)
    for share in PATCHES:
        side = max(1, round(share * size))
        places = [(y, x) for y in _places(size, side) for x in _places(size, side)]
        fallen = np.zeros((size, size), np.float64)
        covered = np.zeros((size, size), np.float64)
        asked = (_without(pixels, y, x, side) for y, x in places)
        for (y, x), prob in zip(places, _answers(model, asked, target), strict=True):
            fallen[y : y + side, x : x + side] += plain - prob
            covered[y : y + side, x : x + side] += 1
        total += fallen / np.maximum(covered, 1)
    return _smooth(total / len(PATCHES), size // STEPS).astype(np.float32)


def deletion(model: Probabilities, pixels: NDArray[np.uint8], target: int, saliency: NDArray[np.floating]) -> float:
    """The mean probability of ``target`` while the pixels highest in ``saliency`` (size, size) go first, in 0..1.

    Lower is better. What is taken away becomes the mean colour of the image.
    """
    order = np.argsort(-saliency.ravel(), kind="stable")
    grey = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    ends = np.linspace(0, len(order), PARTS + 1).round().astype(int)

    def stages() -> Iterator[NDArray[np.uint8]]:
        for end in ends:
            left = pixels.reshape(-1, pixels.shape[2]).copy()
            left[order[:end]] = grey
            yield left.reshape(pixels.shape)

    return float(np.mean(list(_answers(model, stages(), target))))


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """``values`` without the edges of the patches: means over ``width`` neighbours, along both sides."""
    if width < 2:
        return values
    kernel = np.full(width, 1 / width)
    before = width // 2
    for axis in (0, 1):
        edges = [(0, 0), (0, 0)]
        edges[axis] = (before, width - 1 - before)
        wide = np.pad(values, edges, mode="edge")
        values = np.apply_along_axis(np.convolve, axis, wide, kernel, mode="valid")
    return values


def _places(size: int, side: int) -> list[int]:
    return sorted({round(start) for start in np.linspace(0, size - side, STEPS)})


def _without(pixels: NDArray[np.uint8], y: int, x: int, side: int) -> NDArray[np.uint8]:
    """``pixels`` with a patch covered by the mean of what lies around it."""
    size = pixels.shape[0]
    around = pixels[max(0, y - 2) : min(size, y + side + 2), max(0, x - 2) : min(size, x + side + 2)].astype(np.float64)
    patch = pixels[y : y + side, x : x + side].astype(np.float64)
    rim = around.shape[0] * around.shape[1] - side * side
    mean = (around.sum(axis=(0, 1)) - patch.sum(axis=(0, 1))) / rim if rim else patch.mean(axis=(0, 1))
    covered = pixels.copy()
    covered[y : y + side, x : x + side] = mean.round().astype(np.uint8)
    return covered


def _answers(model: Probabilities, images: Iterator[NDArray[np.uint8]], target: int) -> Iterator[float]:
    import itertools

    while batch := list(itertools.islice(images, BATCH)):
        yield from model(np.stack(batch))[:, target].tolist()
