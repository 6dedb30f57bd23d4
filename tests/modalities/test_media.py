"""From bytes to a picture that can be kept."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from emolab.modalities.image import media
from emolab.modalities.problems import Refused

LIMIT = 1_000_000


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """Red top left, green top right, blue below: tells every orientation apart."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("green", (width // 2, 0, width, height // 2))
    return image


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def read(data: bytes) -> media.Picture:
    return media.read(data, max_pixels=LIMIT, reduce_to=None)


def stored(picture: media.Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied_and_then_forgotten(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what the camera did to the scene
    raw = scene() if orientation == 1 else scene().transpose(Image.Transpose(turned[orientation]))
    picture = read(saved(raw, format, exif=exif, quality=95, subsampling=0))
    upright = stored(picture)
    assert picture.size == upright.size == (60, 40)
    assert 0x0112 not in upright.getexif()
    for point, colour in (((5, 5), (255, 0, 0)), ((55, 5), (0, 128, 0)), ((30, 35), (0, 0, 255))):
        assert np.abs(np.array(upright.convert("RGB").getpixel(point)) - colour).max() < 12


@pytest.mark.parametrize(
    ("format", "kept"),
    [
        ("BMP", "PNG"),
        ("GIF", "PNG"),
        ("TIFF", "PNG"),
        ("WEBP", "PNG"),
        ("PPM", "PNG"),
        ("TGA", "PNG"),
        ("JPEG", "JPEG"),
    ],
)
def test_any_format_becomes_jpeg_or_png(format: str, kept: str) -> None:
    picture = read(saved(scene(), format))
    assert (picture.format, stored(picture).format, picture.size) == (kept, kept, (60, 40))
    assert picture.source == format


def test_bytes_that_are_fine_are_not_encoded_again() -> None:
    data = saved(scene(), "JPEG", quality=70)
    assert stored(read(data)).tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert len(read(data).data) <= len(data)


def test_the_origin_is_the_hash_of_the_stripped_bytes_whatever_is_stored() -> None:
    data = saved(scene(), "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = read(data), read(saved(scene(), "JPEG", exif=exif))
    assert plain.origin == turned.origin == hashlib.sha256(plain.data).hexdigest()
    assert plain.data != turned.data


def test_sixteen_bits_become_eight() -> None:
    values = np.array([[0, 65535], [32896, 257]], dtype=np.uint16)
    picture = read(saved(Image.fromarray(values), "PNG"))
    assert stored(picture).mode == "L"
    assert np.asarray(stored(picture)).tolist() == [[0, 255], [128, 1]]


def test_fractions_are_shares_of_white() -> None:
    picture = read(saved(Image.fromarray(np.array([[0.0, 1.0], [0.5, 0.25]], dtype=np.float32)), "TIFF"))
    assert np.asarray(stored(picture)).tolist() == [[0, 255], [128, 64]]


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 255, 255))
    flat = stored(read(saved(image, "PNG")))
    assert flat.mode == "RGB"
    assert [flat.getpixel((0, 0)), flat.getpixel((3, 3))] == [(0, 0, 255), (255, 255, 255)]


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    picture = read(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = stored(picture).getpixel((8, 8))
    assert stored(picture).mode == "RGB"
    assert red > 200
    assert max(green, blue) < 60


def test_the_first_frame_of_an_animation_is_kept() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    picture = read(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert stored(picture).convert("RGB").getpixel((4, 4)) == (255, 0, 0)


def test_an_srgb_profile_costs_no_second_encoding() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(saved(scene(), "JPEG", icc_profile=profile)).data == read(saved(scene(), "JPEG")).data


def test_another_profile_is_converted_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    picture = read(saved(scene(), "PNG", icc_profile=lab))
    assert [note.kind for note in picture.notes] in ([], ["colour profile"])
    assert "icc_profile" not in stored(picture).info


def test_a_broken_profile_is_noted_and_the_picture_kept() -> None:
    picture = read(saved(scene(), "JPEG", icc_profile=b"not a profile at all" * 20))
    assert picture.notes == (("colour profile", "its colour profile cannot be used; colours taken as sRGB"),)
    assert picture.size == (60, 40)


def bomb(side: int = 20_000) -> bytes:
    """A valid PNG header that announces side x side pixels in a few bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: b"", "empty", "no bytes"),
        (lambda: b"Dear diary, this is no picture", "not an image", 'a text, not a picture: "Dear diary, this'),
        (lambda: saved(scene(400, 300), "JPEG")[:2000], "truncated", "the file ends before the picture does"),
        (lambda: saved(scene(400, 300), "PNG")[:-40], "truncated", "the file ends before the picture does"),
        (bomb, "too large", "20,000 x 20,000 pixels; the limit is 1 million (collect.max_pixels)"),
        (lambda: bomb(1200), "too large", "1,200 x 1,200"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image", "PostScript"),
    ],
)
def test_bad_input_is_refused_with_a_reason(make: Callable[[], bytes], kind: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        read(make())
    assert refused.value.kind == kind
    assert words in refused.value.message


def test_reduced_decoding_still_notices_a_truncated_file() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1200, 3)).astype(np.uint8))
    data = saved(noise, "JPEG")
    whole = media.read(data, max_pixels=10 * LIMIT)
    assert whole.image.size == (150, 113)
    assert whole.size == (1200, 900)
    with pytest.raises(Refused, match="truncated"):
        media.read(data[: len(data) - 500], max_pixels=10 * LIMIT)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]), st.integers(0, 10_000), st.binary(max_size=8))
def test_damage_anywhere_is_refused_or_read_and_nothing_else(format: str, at: int, junk: bytes) -> None:
    data = bytearray(saved(scene(24, 16), format))
    at %= len(data)
    data[at : at + len(junk)] = junk
    try:
        picture = read(bytes(data))
    except Refused as refused:
        assert refused.message
    else:
        assert picture.data


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "LA", "I;16"])
def test_small_pngs_have_the_pixels_that_pillow_reads(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    for size in ((1, 1), (48, 48), (255, 257), (256, 256)):
        data = saved(Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)).convert(mode), "PNG")
        picture = read(data)
        with monkeypatch.context() as patch:
            patch.setattr(media, "_unpacked", lambda *_: None)
            same = read(data)
        assert (same.image.mode, same.size, same.data, same.digest, same.origin, same.format, same.source) == (
            picture.image.mode, picture.size, picture.data, picture.digest, picture.origin, picture.format,
            picture.source,
        )  # fmt: skip
        assert same.image.tobytes() == picture.image.tobytes()


@pytest.mark.parametrize("harm", ["half a stream", "no stream", "another size", "a wrong checksum in the header"])
def test_a_small_png_that_is_not_whole_is_refused_in_pillows_words(harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header = struct.pack(">IIBBBBB", 9 if harm == "another size" else 8, 8, 8, 0, 0, 0, 0)
    stream = zlib.compress(bytes(8 * 9))
    stream = {"half a stream": stream[: len(stream) // 2], "no stream": b""}.get(harm, stream)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", stream), chunk(b"IEND", b"")]
    if harm == "a wrong checksum in the header":
        parts[0] = parts[0][:-1] + b"?"
    data = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    with pytest.raises(Refused) as refused:
        read(data)
    monkeypatch.setattr(media, "_unpacked", lambda *_: None)
    with pytest.raises(Refused, match=f"^{re.escape(str(refused.value))}$"):
        read(data)


def test_a_stream_in_several_parts_is_one_picture() -> None:
    stream = zlib.compress(b"".join(b"\0" + bytes(range(y, y + 8)) for y in range(8)))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    bits = [chunk(b"IDAT", stream[i : i + 7]) for i in range(0, len(stream), 7)]
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(bits) + chunk(b"IEND", b"")
    assert np.array_equal(np.asarray(read(data).image), np.arange(8)[:, None] + np.arange(8))
