"""Augmentations: one contract for whatever is registered, and imgaug beside NumPy 2."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.errors import UnknownName
from emolab.plugins import AUGMENTATIONS
from emolab.training import augment
from emolab.training.runs import recipes
from emolab.training.runs.recipes import Plan
from tests.support.learnable import quick


def planned(name: str, **settings: object) -> Plan:
    """A plan with the augmentation called ``name``, for the samples it is made for."""
    return quick(augmentation=name, found="sound" if name == recipes.SPECTROGRAM else "gray", **settings)


IMAGES = np.random.default_rng(0).integers(0, 256, (9, 24, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
@pytest.mark.parametrize("channels", [1, 3])
def test_keeps_shape_and_type_and_repeats_with_the_same_generator(name: str, channels: int) -> None:
    images = np.ascontiguousarray(IMAGES[..., :channels])
    before = images.copy()
    change = augment.load(planned(name, strength=1.0))
    first, again = change(images, np.random.default_rng(3)), change(images, np.random.default_rng(3))
    other = change(images, np.random.default_rng(4))
    assert (first.shape, first.dtype) == (images.shape, np.uint8)
    assert (first == again).all()
    assert (first != other).any()
    assert (images == before).all()


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_leaves_the_global_generators_alone(name: str) -> None:
    import torch

    torch.manual_seed(0)
    np.random.seed(0)
    state, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    augment.load(planned(name))(IMAGES, np.random.default_rng(0))
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpys).all()


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_an_image_stays_recognisable(name: str) -> None:
    images = np.tile(
        np.linspace(0, 255, 24, dtype=np.uint8)[None, :, None, None], (8, 1, 24, 1)
    )  # dark top, light foot
    changed = augment.load(planned(name, strength=1.0))(images, np.random.default_rng(0)).astype(float)
    assert (changed[:, 14:20, 6:18].mean(axis=(1, 2, 3)) > changed[:, 4:10, 6:18].mean(axis=(1, 2, 3))).all()


@pytest.mark.parametrize("settings", [{"augmentation": "none"}, {"strength": 0.0}])
def test_can_be_switched_off(settings: dict[str, object]) -> None:
    assert augment.load(quick(**settings))(IMAGES, np.random.default_rng(0)) is IMAGES


def test_imgaug_leaves_no_trace_in_numpy() -> None:
    from emolab.training.augment.compat import import_augmenters

    had = hasattr(np, "sctypes")
    import_augmenters()
    assert hasattr(np, "sctypes") == had


def test_an_unknown_library_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r'Unknown augmentation "torchvison"\. Did you mean "torchvision"'):
        augment.load(quick(augmentation="torchvison"))


def test_a_warp_turns_about_the_centre_and_stays_within_its_ranges() -> None:
    from emolab.training.augment import warp

    maps = warp.affine_maps(np.random.default_rng(0), 2000, (48, 64))
    centre = np.array([31.5, 23.5, 1.0])
    moved = maps @ centre - centre[:2]
    assert np.abs(moved[:, 0]).max() <= warp.SHIFT * 64 + 1e-9
    assert np.abs(moved[:, 1]).max() <= warp.SHIFT * 48 + 1e-9
    assert np.abs(moved).max() > 0.9 * warp.SHIFT * 48
    areas = np.linalg.det(maps[:, :, :2])
    assert 0.4 < (areas < 0).mean() < 0.6  # every other image is mirrored
    assert np.exp(-2 * warp.ZOOM) <= np.abs(areas).min() <= np.abs(areas).max() <= np.exp(2 * warp.ZOOM)


def test_a_warp_without_draws_changes_nothing_but_the_side() -> None:
    from emolab.training.augment import warp

    maps = warp.affine_maps(np.random.default_rng(0), 50, (24, 24), strength=0.0)
    plain = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    mirrored = np.array([[-1.0, 0.0, 23.0], [0.0, 1.0, 0.0]])
    for one in maps:
        assert np.allclose(one, plain) or np.allclose(one, mirrored)
    tables = warp.light_tables(np.random.default_rng(0), 3, strength=0.0)
    assert (tables == np.arange(256)).all()


@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 3), (48, 48, 1), (40, 57, 3)])
def test_a_padded_warp_is_the_same_as_the_slow_one(shape: tuple[int, int, int], strength: float) -> None:
    import cv2

    from emolab.training.augment import reflect, warp

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, *shape), dtype=np.uint8)
    maps = warp.affine_maps(rng, len(images), shape[:2], strength=strength)
    out = np.empty_like(images)
    reflect.warp(images, maps, out)
    for image, one, result in zip(images, maps, out, strict=True):
        slow = cv2.warpAffine(image, one, shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        assert (result == slow.reshape(shape)).all()


def test_a_map_that_flattens_the_image_warps_like_the_slow_one() -> None:
    import cv2

    from emolab.training.augment import reflect

    images, flat = IMAGES[:1], np.array([[[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]])
    out = np.empty_like(images)
    reflect.warp(images, flat, out)
    assert (out[0] == cv2.warpAffine(images[0], flat[0], (24, 24), borderMode=cv2.BORDER_REFLECT_101)).all()


def test_margins_are_as_wide_as_the_map_reaches() -> None:
    from emolab.training.augment import reflect

    shift = np.array([[[1.0, 0.0, 5.0], [0.0, 1.0, -3.0]]])  # five to the right, three up
    left, right, above, below = reflect.margins(reflect.inverse(shift), (40, 40))[0]
    assert (left, right, above, below) == (5 + reflect.SPARE, 0, 0, 3 + reflect.SPARE)
    assert reflect.margins(reflect.inverse(shift), (6, 6)).max() == 0  # further than the image is wide
