"""Where a model looks, found from outside: what matters is found, and taking it away first costs the answer most."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emolab.config import CollectConfig
from emolab.inference.saliency import deletion, occlusion
from emolab.loop.model.open_model import open_model
from emolab.serving.predictor import Predictor


def spot(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A model that looks at a square of 8 pixels alone: the brighter it is, the likelier is class 1."""
    light = images[:, 20:28, 30:38].mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - light, light], axis=1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_part_that_alone_matters_is_found_with_its_sign(channels: int) -> None:
    pixels = np.full((48, 48, channels), 40, np.uint8)
    pixels[20:28, 30:38] = 240
    found = occlusion(spot, pixels, 1)
    assert found.shape == (48, 48)
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert 18 <= y < 30 and 28 <= x < 40
    assert found[20:28, 30:38].mean() > 5 * np.abs(np.delete(found, slice(10, 40), axis=0)).mean()
    against = occlusion(spot, pixels, 0)
    np.testing.assert_allclose(against, -found, atol=1e-6)


def test_an_image_of_one_colour_has_an_empty_map() -> None:
    assert np.abs(occlusion(spot, np.full((48, 48, 1), 77, np.uint8), 1)).max() == 0


@pytest.mark.parametrize("size", [16, 48, 224])
def test_networks_of_any_size_are_asked_the_same_number_of_times(size: int) -> None:
    asked = []

    def model(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(len(images))
        return np.full((len(images), 2), 0.5, np.float32)

    assert occlusion(model, np.zeros((size, size, 3), np.uint8), 0).shape == (size, size)
    assert 1 < sum(asked) <= 1 + 2 * 12 * 12


def test_deletion_is_lower_for_the_better_map() -> None:
    pixels = np.full((48, 48, 1), 40, np.uint8)
    pixels[20:28, 30:38] = 240
    right = np.zeros((48, 48))
    right[20:28, 30:38] = 1
    random = [np.random.default_rng(seed).random((48, 48)) for seed in range(5)]
    assert deletion(spot, pixels, 1, right) < min(deletion(spot, pixels, 1, one) for one in random)
    assert deletion(spot, pixels, 1, -right) > max(deletion(spot, pixels, 1, one) for one in random)


@pytest.mark.slow
def test_the_map_of_a_real_face_passes_the_deletion_test(portrait: Image.Image) -> None:
    pytest.importorskip("onnxruntime")
    model = open_model(None, "face48")
    reading = Predictor(model, CollectConfig(faces="all")).read("her", portrait)
    (crop,) = reading.crops
    best = int(model.probabilities(crop.pixels[None])[0].argmax())
    ours = deletion(model.probabilities, crop.pixels, best, occlusion(model.probabilities, crop.pixels, best))
    rng = np.random.default_rng(0)
    coarse = [np.kron(rng.random((6, 6)), np.ones((8, 8))) for _ in range(10)]  # in blocks, as the map has them
    random = [deletion(model.probabilities, crop.pixels, best, one) for one in coarse]
    assert ours < min(random), (ours, random)
