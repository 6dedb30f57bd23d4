"""From a file to the bytes a network sees: every mode, orientation, shape, and clear errors."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.errors import DataError
from emolab.training.decode import Preprocessing, decode, is_gray

GRAY, RGB = Preprocessing(16, "gray"), Preprocessing(16, "rgb")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_becomes_bytes_of_the_wanted_shape(mode: str) -> None:
    image = Image.new("L", (20, 20), 255).convert("I;16" if mode == "I;16" else mode)
    assert decode(encoded(image), GRAY).shape == (16, 16, 1)
    assert decode(encoded(image), RGB).shape == (16, 16, 3)


def test_a_gray_48_pixel_face_keeps_every_value() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    assert (decode(encoded(Image.fromarray(pixels)), Preprocessing(48, "gray"))[..., 0] == pixels).all()


def test_sixteen_bits_keep_their_brightness() -> None:
    image = Image.fromarray(np.full((16, 16), 0x8000, dtype=np.uint16))
    assert decode(encoded(image), GRAY)[0, 0, 0] in (127, 128)


def test_the_orientation_in_exif_is_applied() -> None:
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 16, 4))  # a bright top
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned right: the top goes to the right
    turned = decode(encoded(image, "JPEG", exif=exif, quality=95), GRAY)[..., 0]
    assert turned[:, -2].mean() > 200 > 60 > turned[:, 2].mean()


def test_a_wide_image_is_padded_not_squeezed() -> None:
    out = decode(encoded(Image.new("L", (32, 16), 255)), GRAY)[..., 0]
    assert (out[:4] == 0).all()
    assert (out[4:12] == 255).all()
    assert (out[12:] == 0).all()


def test_transparency_becomes_black() -> None:
    assert (decode(encoded(Image.new("RGBA", (16, 16), (255, 255, 255, 0))), RGB) == 0).all()


@pytest.mark.parametrize("data", [b"", b"no image", encoded(Image.new("L", (64, 64)))[:60]])
def test_what_is_no_image_is_an_error_with_the_reason(data: bytes) -> None:
    with pytest.raises(DataError, match="these bytes cannot be read as an image"):
        decode(data, GRAY)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be read as an image"):
        decode(tmp_path / "gone.png", GRAY)


def test_gray_is_told_by_the_header() -> None:
    assert is_gray(encoded(Image.new("L", (4, 4))))
    assert not is_gray(encoded(Image.new("RGB", (4, 4))))
