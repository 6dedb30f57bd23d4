"""Metadata leave, pixels stay."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from emolab.modalities.image.strip import strip


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    rng = np.random.default_rng(1)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    return Image.fromarray(rng.integers(0, 255, shape).astype(np.uint8))


def jpeg(**options: object) -> bytes:
    out = io.BytesIO()
    picture().save(out, "JPEG", **options)
    return out.getvalue()


def png(image: Image.Image | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    (image or picture()).save(out, "PNG", **options)
    return out.getvalue()


def gps_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "Secret Camera 3000"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"subsampling": 2}])
def test_a_jpeg_keeps_every_pixel_and_loses_all_metadata(options: dict[str, object]) -> None:
    data = jpeg(exif=gps_exif(), comment=b"taken at home", dpi=(300, 300), **options) + b"motion photo video"
    found = strip(data)
    assert found is not None
    assert pixels(found.data) == pixels(data)
    for secret in (b"Exif", b"Secret", b"taken at home", b"motion photo"):
        assert secret in data
        assert secret not in found.data
    assert (found.format, found.size, found.rewrite) == ("JPEG", (40, 30), None)


def test_copies_that_differ_in_metadata_only_become_the_same_bytes() -> None:
    plain = strip(jpeg())
    tagged = strip(jpeg(exif=gps_exif(), comment=b"copy", dpi=(72, 72), icc_profile=b"x" * 70_000))
    assert plain is not None
    assert tagged is not None
    assert plain.data == tagged.data
    assert tagged.profile == b"x" * 70_000


def test_stripping_twice_changes_nothing_more() -> None:
    for data in (jpeg(exif=gps_exif()), png()):
        once = strip(data)
        assert once is not None
        twice = strip(once.data)
        assert twice is not None
        assert twice.data == once.data


def test_a_png_keeps_every_pixel_and_loses_text_time_and_exif() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "ann")
    info.add_itxt("XML:com.adobe.xmp", "<home/>", zip=True)
    data = png(pnginfo=info, exif=gps_exif(6), dpi=(300, 300)) + b"tail"
    found = strip(data)
    assert found is not None
    assert pixels(found.data) == pixels(data)
    assert {name for name in (b"tEXt", b"iTXt", b"eXIf", b"pHYs", b"tail") if name in found.data} == set()
    assert found.orientation == 6


def test_an_animated_png_becomes_its_first_frame() -> None:
    data = png(save_all=True, append_images=[picture("L").convert("RGB")], default_image=True)
    found = strip(data)
    assert b"acTL" in data
    assert found is not None
    assert b"acTL" not in found.data
    assert pixels(found.data) == picture().tobytes()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (png(Image.new("I;16", (4, 4))), "depth"),
        (png(Image.new("RGBA", (4, 4))), "alpha"),
        (png(Image.new("P", (4, 4)), transparency=0), "alpha"),
    ],
)
def test_what_must_be_written_again_is_said(data: bytes, why: str) -> None:
    found = strip(data)
    assert found is not None
    assert found.rewrite == why


def test_a_cmyk_jpeg_must_be_written_again() -> None:
    out = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(out, "JPEG")
    found = strip(out.getvalue())
    assert found is not None
    assert found.rewrite == "cmyk"


def test_a_cut_file_is_left_to_the_decoder() -> None:
    for data in (jpeg(exif=gps_exif()), png()):
        for end in range(0, len(data), 7):
            assert strip(data[:end]) is None


def test_a_png_profile_that_unpacks_to_gigabytes_is_cut_off() -> None:
    bomb = b"p\0\0" + zlib.compress(bytes(64 << 20), 9)
    chunk = struct.pack(">I", len(bomb)) + b"iCCP" + bomb + struct.pack(">I", zlib.crc32(b"iCCP" + bomb))
    data = png()
    found = strip(data[:33] + chunk + data[33:])
    assert found is not None
    assert found.profile is not None
    assert len(found.profile) == 4 << 20


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["jpeg", "png"]), st.integers(0, 10_000), st.binary(min_size=1, max_size=6))
def test_damaged_bytes_never_break_it(kind: str, at: int, junk: bytes) -> None:
    data = bytearray(jpeg(exif=gps_exif()) if kind == "jpeg" else png(exif=gps_exif()))
    at %= len(data)
    data[at : at + len(junk)] = junk
    found = strip(bytes(data))
    assert found is None or found.data
