"""From a file to the bytes a network sees: every mode, orientation, shape, clear errors and notes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from emolab.errors import DataError
from emolab.modalities.image import media
from emolab.modalities.image.decode import UnreadableImage, decode, is_gray, prepare, prepare_image
from emolab.modalities.preparing import Preprocessing
from tests.support.forms import wide_profile

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


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_becomes_white_as_collect_keeps_it(mode: str, kind: str) -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((90, 90, 90, 255), (0, 0, 16, 8))
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode(encoded(image.convert(mode), kind, **options), RGB)
    assert (found[:8] == 90).all()
    assert (found[8:] == 255).all()


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


SIZES = [(640, 480), (480, 640), (900, 301), (230, 200), (100, 83), (224, 224), (225, 5), (1, 1), (3000, 2000)]


@pytest.mark.parametrize("color", ["gray", "rgb"])
@pytest.mark.parametrize("size", SIZES)
def test_a_jpeg_of_any_size_is_decoded_in_full_and_scaled_by_the_book(size: tuple[int, int], color: str) -> None:
    data, wanted = encoded(scene(*size), "JPEG", quality=95), Preprocessing(224, color)
    with Image.open(io.BytesIO(data)) as image:
        assert (decode(data, wanted) == by_the_book(image, wanted)).all()


@pytest.mark.parametrize("color", ["gray", "rgb"])
@pytest.mark.parametrize("size", SIZES)
def test_a_jpeg_decoded_at_a_fraction_of_its_size_looks_much_the_same(size: tuple[int, int], color: str) -> None:
    data, wanted = encoded(scene(*size), "JPEG", quality=95), Preprocessing(224, color)
    assert np.abs(decode(data, wanted.scaled).astype(int) - decode(data, wanted)).mean() < 1.0


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_in_any_orientation_stands_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data, wanted = encoded(scene(320, 200), kind, exif=exif, quality=95), Preprocessing(64, "rgb")
    with Image.open(io.BytesIO(data)) as image:
        assert (decode(data, wanted) == by_the_book(image, wanted)).all()
    assert np.abs(decode(data, wanted.scaled).astype(int) - decode(data, wanted)).mean() < 1.0


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x01", b"Exif\0\0junkjunkjunk", b"\0" * 40])
def test_damaged_exif_data_leave_an_image_as_it_is(exif: bytes) -> None:
    plain, wanted = scene(64, 48), Preprocessing(32, "rgb")
    assert (decode(encoded(plain, "JPEG", exif=exif), wanted) == decode(encoded(plain, "JPEG"), wanted)).all()


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


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("size", [(48, 48), (100, 80)])
def test_full_and_scaled_decoding_differ_in_jpegs_only(kind: str, size: tuple[int, int]) -> None:
    data, wanted = encoded(scene(*size), kind), Preprocessing(48, "gray")
    assert (decode(data, wanted) == decode(data, wanted.scaled)).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty: the file has no bytes"),
        (b"no image", 'not an image: a text, not a picture: "no image"'),
        (encoded(Image.new("L", (64, 64)))[:60], "truncated: the file ends before the picture does"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "not an image: a PostScript program"),
        (encoded(scene(64, 64), "JPEG")[:400], "truncated: "),
    ],
)
def test_what_is_no_image_is_an_error_with_the_reason(data: bytes, reason: str) -> None:
    for wanted in (GRAY, GRAY.scaled):
        with pytest.raises(UnreadableImage, match="these bytes cannot be read as an image: ") as caught:
            decode(data, wanted)
        assert caught.value.reason.startswith(reason)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    data = encoded(scene(100, 80))
    assert prepare(data, GRAY, max_pixels=8000).note is None
    with pytest.raises(UnreadableImage, match=r"too large: 100 x 80 pixels"):
        prepare(data, GRAY, max_pixels=7999)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be read as an image"):
        decode(tmp_path / "gone.png", GRAY)


def test_gray_is_told_by_the_header() -> None:
    assert is_gray(encoded(Image.new("L", (4, 4))))
    assert not is_gray(encoded(Image.new("RGB", (4, 4))))


def fractions(*values: float) -> bytes:
    return encoded(Image.fromarray(np.resize(np.array(values, dtype=np.float32), (32, 32))), "TIFF")


def palette(clear: bool) -> Image.Image:
    image = scene(32, 32).quantize(8)
    image.info["transparency"] = bytes(0 if clear else 255 for _ in range(8))
    return image


NAN, INF = float("nan"), float("inf")
EMPTY = {
    "all NaN": fractions(NAN),
    "all infinite": fractions(INF, -INF),
    "NaN and infinite": fractions(NAN, INF, -INF),
    "clear RGBA": encoded(Image.new("RGBA", (32, 32), (200, 10, 10, 0))),
    "clear LA": encoded(Image.new("LA", (32, 32), (200, 0))),
    "clear palette": encoded(palette(clear=True), transparency=bytes(8)),
    "clear colour": encoded(Image.new("RGB", (32, 32), (9, 8, 7)), transparency=(9, 8, 7)),
    "clear gray": encoded(Image.new("L", (32, 32), 77), transparency=77),
    "clear 16 bits": encoded(Image.fromarray(np.full((32, 32), 5000, np.uint16)), transparency=5000),
    "clear WebP": encoded(Image.new("RGBA", (32, 32), (200, 10, 10, 0)), "WEBP", lossless=True),
    "clear GIF": encoded(Image.new("P", (32, 32), 0), "GIF", transparency=0),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_image_with_nothing_in_it_is_an_error_everywhere(name: str) -> None:
    reason = "every pixel is (transparent|NaN or infinite)"
    for wanted in (GRAY, RGB, GRAY.scaled):
        with pytest.raises(UnreadableImage, match=f"nothing in it: {reason}"):
            decode(EMPTY[name], wanted)
    with pytest.raises(media.Refused, match=reason):  # collect does not keep it either
        media.read(EMPTY[name], max_pixels=10_000)


def clear_but(share: float) -> Image.Image:
    """A picture of which only the top ``share`` is not transparent."""
    image = scene(100, 100).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, round(100 * share), 100, 100))
    return image


NOTED = {
    "one pixel": (encoded(scene(1, 1)), "only 1 x 1 pixels"),
    "small": (encoded(scene(40, 20)), "only 40 x 20 pixels"),
    "thin": (encoded(scene(3, 900)), "3 x 900 pixels is a strip"),
    "wide": (encoded(scene(2000, 400)), "2,000 x 400 pixels is a strip"),
    "black": (encoded(Image.new("L", (64, 64), 0)), "all of one colour"),
    "red": (encoded(Image.new("RGB", (64, 64), "red"), "JPEG"), "all of one colour"),
    "white on white": (encoded(Image.new("RGBA", (64, 64), (255, 255, 255, 9))), "all of one colour"),
    "some NaN": (fractions(0.5, NAN, 0.25, 0.125), "256 of its 1,024 pixels are NaN or infinite, taken as black"),
    "some infinite": (fractions(0.5, INF, 0.25, 0.125), "256 of its 1,024 pixels are NaN or infinite, taken as black"),
    "nearly clear": (encoded(clear_but(0.05)), "95% of it is transparent, taken as white"),
    "strange profile": (encoded(scene(64, 64), icc_profile=b"no profile" * 40), "its colour profile cannot be used"),
}


@pytest.mark.parametrize("name", NOTED)
def test_an_image_that_can_tell_little_gets_a_note(name: str) -> None:
    data, note = NOTED[name]
    for wanted in (GRAY, RGB):
        assert note in str(prepare(data, wanted).note)


@pytest.mark.parametrize(
    "image",
    [scene(48, 48), scene(24, 24), scene(400, 101), scene(64, 64).convert("L"), clear_but(0.5), palette(clear=False)],
)
def test_an_ordinary_image_gets_none(image: Image.Image) -> None:
    assert prepare(encoded(image), GRAY).note is None


@pytest.mark.parametrize(("size", "shape"), [((3, 900), (16, 1)), ((900, 3), (1, 16)), ((1, 16), (16, 1))])
def test_a_strip_keeps_at_least_one_row_of_pixels(size: tuple[int, int], shape: tuple[int, int]) -> None:
    seen = decode(encoded(Image.new("L", size, 255)), GRAY)[..., 0] > 0
    assert (int(seen.any(axis=1).sum()), int(seen.any(axis=0).sum())) == shape


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


#: Files in many forms, of which collect keeps the pixels without a loss.
FORMS = {
    "gray PNG": encoded(scene(90, 60).convert("L")),
    "RGB PNG": encoded(scene(90, 60)),
    "1-bit PNG": encoded(scene(90, 60).convert("1")),
    "palette PNG": encoded(scene(90, 60).quantize(32)),
    "palette PNG with alpha": encoded(palette(clear=False), transparency=bytes(range(0, 256, 32))),
    "RGBA PNG": encoded(clear_but(0.6)),
    "LA PNG": encoded(clear_but(0.6).convert("LA")),
    "16-bit PNG": encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16)),
    "turned PNG": encoded(scene(90, 60), exif=turned(6)),
    "PNG in another colour space": encoded(scene(90, 60), icc_profile=wide_profile()),
    "RGBA PNG in another colour space": encoded(clear_but(0.6), icc_profile=wide_profile()),
    "palette PNG in another colour space": encoded(scene(90, 60).quantize(32), icc_profile=wide_profile()),
    "float TIFF": fractions(0.1, 0.4, 0.9, NAN),
    "float TIFF of whole numbers": fractions(3, 200, 90),
    "turned TIFF": encoded(scene(90, 60), "TIFF", exif=turned(8)),
    "CMYK TIFF": encoded(scene(90, 60).convert("CMYK"), "TIFF"),
    "LAB TIFF": encoded(Image.merge("LAB", scene(90, 60).split()), "TIFF"),
    "turned WebP": encoded(scene(90, 60), "WEBP", exif=turned(3), lossless=True),
    "BMP": encoded(scene(90, 60), "BMP"),
    "GIF": encoded(scene(90, 60), "GIF"),
    "plain JPEG": encoded(scene(90, 60), "JPEG", progressive=True),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_shows_the_same_before_and_after_it_was_collected(name: str) -> None:
    stored = media.read(FORMS[name], max_pixels=10_000, reduce_to=None).data
    for wanted in (GRAY, Preprocessing(48, "rgb")):
        assert (decode(FORMS[name], wanted) == decode(stored, wanted)).all()


def test_a_profile_that_is_not_srgb_is_applied() -> None:
    assert (
        np.abs(decode(FORMS["PNG in another colour space"], RGB).astype(int) - decode(FORMS["RGB PNG"], RGB)).mean() > 3
    )


@pytest.mark.parametrize("name", ["gray PNG", "RGBA PNG", "16-bit PNG", "turned WebP", "plain JPEG", "float TIFF"])
def test_the_same_image_gives_the_same_pixels_by_any_way(name: str, tmp_path: Path) -> None:
    data, wanted = FORMS[name], Preprocessing(48, "rgb")
    expected = decode(data, wanted)
    (tmp_path / "file").write_bytes(data)
    assert (decode(tmp_path / "file", wanted) == expected).all()
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("inside", data)
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        assert (decode(archive.read("inside"), wanted) == expected).all()
    with Image.open(io.BytesIO(data)) as image:
        assert (prepare_image(image, wanted).pixels == expected).all()
    array = np.asarray(media.read(data, max_pixels=10_000, reduce_to=None).image)  # what a program has in memory
    assert (prepare_image(Image.fromarray(array), wanted).pixels == expected).all()
