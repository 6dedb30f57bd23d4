"""Numbers about images that mean what they say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from emolab.modalities.image.quality import gray_thumbnail, judge, measure, perceptual_hash


def texture(seed: int = 0, size: int = 300) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 255, (12, 12)).astype(np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


def quality(image: Image.Image) -> dict[str, float]:
    return measure(gray_thumbnail(image), size=image.size)


def distance(a: Image.Image, b: Image.Image) -> int:
    return (perceptual_hash(gray_thumbnail(a)) ^ perceptual_hash(gray_thumbnail(b))).bit_count()


def test_blur_grows_as_an_image_is_smoothed() -> None:
    sharp = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8))
    blurs = [quality(sharp.filter(ImageFilter.GaussianBlur(r)))["blur"] for r in (0, 1, 2, 5)]
    assert blurs == sorted(blurs)
    assert blurs[0] < 0.05
    assert blurs[-1] > 0.9


@pytest.mark.parametrize(("level", "brightness"), [(0, 0.0), (51, 0.2), (255, 1.0)])
def test_brightness_is_the_share_of_white_and_a_flat_image_has_no_contrast(level: int, brightness: float) -> None:
    found = quality(Image.new("RGB", (40, 30), (level, level, level)))
    assert found == {"size": 30.0, "brightness": brightness, "contrast": 0.0, "blur": 1.0}


def test_an_image_of_one_pixel_can_be_measured() -> None:
    assert quality(Image.new("L", (1, 1), 128))["blur"] == 1.0


def test_the_hash_survives_resizing_recompression_and_light() -> None:
    image = texture()
    out = io.BytesIO()
    image.resize((90, 90)).save(out, "JPEG", quality=60)
    assert distance(image, Image.open(out)) <= 4
    assert distance(image, ImageEnhance.Brightness(image).enhance(0.7)) <= 4


def test_the_hashes_of_different_images_differ_in_about_half_of_their_bits() -> None:
    distances = [distance(texture(2 * i), texture(2 * i + 1)) for i in range(20)]
    assert 24 <= np.mean(distances) <= 40
    assert min(distances) > 10


def test_the_hash_fits_into_64_bits() -> None:
    assert all(0 <= perceptual_hash(texture(i)) < 1 << 64 for i in range(10))


def test_many_images_are_judged_as_each_of_them_alone() -> None:
    rng = np.random.default_rng(3)
    shapes = [(48, 48), (160, 120), (48, 48), (1, 1), (2, 5), (224, 10), (48, 48)]
    images = [Image.fromarray(rng.integers(0, 256, shape[::-1]).astype(np.uint8)) for shape in shapes]
    verdicts = judge(images, shapes)
    assert [v.quality for v in verdicts] == [measure(i, size=s) for i, s in zip(images, shapes, strict=True)]
    assert [v.phash for v in verdicts] == [perceptual_hash(i) for i in images]
    assert judge([], []) == []
