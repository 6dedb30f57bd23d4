"""From a file to the bytes a network sees: every mode, orientation, shape, and clear errors."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from emolab.errors import DataError
from emolab.training.decode import VERSIONS, Preprocessing, decode, is_gray

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


def scene(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """Smooth colours with a bright corner, top left: what a photo is to a decoder, and which way is up."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(30, 160, (9, 12, 3), dtype=np.uint8))
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 250, 250), (0, 0, width // 3, height // 3))
    return image


def by_the_book(image: Image.Image, wanted: Preprocessing) -> np.ndarray:
    """Full decoding, antialiased scaling, padding: slow and simple."""
    upright = ImageOps.exif_transpose(image).convert("L" if wanted.channels == 1 else "RGB")
    padded = ImageOps.pad(upright, (wanted.size, wanted.size), Image.Resampling.BILINEAR)
    return np.asarray(padded).reshape(wanted.size, wanted.size, wanted.channels)


@pytest.mark.parametrize("color", ["gray", "rgb"])
@pytest.mark.parametrize(
    "size", [(640, 480), (480, 640), (900, 301), (230, 200), (100, 83), (224, 224), (225, 2), (1, 1), (3000, 2000)]
)
def test_a_jpeg_of_any_size_looks_as_if_scaled_by_the_book(size: tuple[int, int], color: str) -> None:
    data, wanted = encoded(scene(*size), "JPEG", quality=95), Preprocessing(224, color)
    with Image.open(io.BytesIO(data)) as image:
        apart = np.abs(decode(data, wanted).astype(int) - by_the_book(image, wanted).astype(int))
    assert apart.mean() < 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_in_any_orientation_stands_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data, wanted = encoded(scene(320, 200), "JPEG", exif=exif, quality=95), Preprocessing(64, "rgb")
    with Image.open(io.BytesIO(data)) as image:
        apart = np.abs(decode(data, wanted).astype(int) - by_the_book(image, wanted).astype(int))
    assert apart.mean() < 1.0


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_a_jpeg_of_other_inks_is_read_too(mode: str) -> None:
    data = encoded(scene(100, 100).convert(mode), "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as image:
        apart = np.abs(decode(data, RGB).astype(int) - by_the_book(image, RGB).astype(int))
    assert apart.mean() < 2.0


def test_a_jpeg_of_the_wanted_size_keeps_every_value() -> None:
    data = encoded(scene(48, 48).convert("L"), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        assert (decode(data, Preprocessing(48, "gray"))[..., 0] == np.asarray(image)).all()


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    data, wanted = encoded(scene(300, 200), "JPEG", quality=95), Preprocessing(64, "rgb")
    assert np.abs(decode(data + b"and a note", wanted).astype(int) - decode(data, wanted).astype(int)).mean() < 1.0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_jpeg_cut_short_is_an_error_never_half_gray(share: float) -> None:
    data = encoded(scene(640, 480), "JPEG", quality=95)
    with pytest.raises(DataError, match="these bytes cannot be read as an image"):
        decode(data[: int(share * len(data))], GRAY)


@pytest.mark.parametrize(("kind", "size"), [("PNG", (64, 48)), ("JPEG", (640, 480)), ("WEBP", (300, 200))])
def test_version_1_is_still_what_pillow_makes(kind: str, size: tuple[int, int]) -> None:
    data = encoded(scene(*size), kind)
    wanted = Preprocessing(224, "rgb", version=1)
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (448, 448))
        assert (decode(data, wanted) == by_the_book(image, wanted)).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("size", [(48, 48), (100, 80)])
def test_versions_differ_in_jpegs_only(kind: str, size: tuple[int, int]) -> None:
    data = encoded(scene(*size), kind)
    made = [decode(data, Preprocessing(48, "gray", version)) for version in VERSIONS]
    assert all((pixels == made[0]).all() for pixels in made)


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
