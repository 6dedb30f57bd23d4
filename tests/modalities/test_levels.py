"""Gray of more than 8 bits is visible and not darker than meant; what had to be guessed is noted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from emolab.modalities.image import media, reading
from emolab.modalities.image.decode import decode, prepare
from emolab.modalities.preparing import Preprocessing
from tests.support.forms import chunk, encoded

RAMP = np.tile(np.linspace(0, 1, 100), (60, 1))


def gray(values: np.ndarray, dtype: type, kind: str = "TIFF", **options: object) -> bytes:
    return encoded(Image.fromarray(values.astype(dtype)), kind, **options)


def pgm(values: np.ndarray, highest: int) -> bytes:
    head = f"P5 {values.shape[1]} {values.shape[0]} {highest}\n".encode()
    return head + values.astype(">u2").tobytes()


#: A ramp from black to white in many ranges: bytes, and the note where something was guessed.
RAMPS = {
    "16 bits, PNG": (gray(RAMP * 65535, np.uint16, "PNG"), None),
    "14 bits, PNG": (gray(RAMP * 16383, np.uint16, "PNG"), "its highest value is 16,383; taken as 14 bits"),
    "12 bits, PNG": (gray(RAMP * 4095, np.uint16, "PNG"), "its highest value is 4,095; taken as 12 bits"),
    "12 bits, TIFF": (gray(RAMP * 4095, np.uint16), "its highest value is 4,095; taken as 12 bits"),
    "10 bits, PNG": (gray(RAMP * 1023, np.uint16, "PNG"), "its highest value is 1,023; taken as 10 bits"),
    "10 bits, TIFF": (gray(RAMP * 1023, np.uint16), "its highest value is 1,023; taken as 10 bits"),
    "8 bits in 16": (gray(RAMP * 255, np.uint16, "PNG"), "its highest value is 255; taken as 8 bits"),
    "12 bits in 32": (gray(RAMP * 4095, np.int32), "its highest value is 4,095; taken as 12 bits"),
    "a mask of 0 and 1": (gray(RAMP.round(), np.int32), None),
    "four bits in 16": (gray(RAMP * 15, np.uint16), "its values lie between 0 and 15, stretched"),
    "signed": (gray(RAMP * 2000 - 1000, np.int32), "its values lie between -1,000 and 1,000, stretched"),
    "32 bits": (gray(RAMP * 2e9, np.int32), "its values lie between 0 and 2e+09, stretched"),
    "10-bit PGM, which says so": (pgm(RAMP * 1023, 1023), None),
    "12-bit PGM, which says so": (pgm(RAMP * 4095, 4095), None),
    "fractions": (gray(RAMP, np.float32), None),
    "floats to 4": (gray(RAMP * 4, np.float32), "its values lie between 0 and 4, stretched from black to white"),
    "floats to 1.5": (gray(RAMP * 1.5, np.float32), "its values lie between 0 and 1.5, stretched"),
    "floats from -1 to 1": (gray(RAMP * 2 - 1, np.float32), "its values lie between -1 and 1, stretched"),
    "floats from -128 to 127": (gray(RAMP * 255 - 128, np.float32), "its values lie between -128 and 127, stretched"),
    "floats below 0 only": (gray(RAMP * 5 - 5, np.float32), "its values lie between -5 and 0, stretched"),
    "floats of 8 bits": (gray(RAMP * 255, np.float32), None),
    "floats of 12 bits": (gray(RAMP * 4095, np.float32), "its highest value is 4,095; taken as 12 bits"),
    "floats to a million": (gray(RAMP * 1e6, np.float32), "its values lie between 0 and 1e+06, stretched"),
}


@pytest.mark.parametrize("name", RAMPS)
def test_a_ramp_of_any_range_goes_from_black_to_white(name: str) -> None:
    data, note = RAMPS[name]
    picture = media.read(data, max_pixels=10_000, reduce_to=None)
    levels = np.asarray(picture.image)
    assert picture.image.mode == "L"
    assert levels.mean() / 255 == pytest.approx(0.5, abs=0.04)
    assert (levels.min(), levels.max()) == (0, 255)
    assert [each.kind for each in picture.notes] == ([] if note is None else ["levels"])
    said = prepare(data, Preprocessing(48, "gray")).note
    assert said is None if note is None else note in str(said) and note in picture.notes[0].message
    wanted = Preprocessing(48, "gray")
    assert (decode(data, wanted) == decode(picture.data, wanted)).all()


def test_a_dark_image_of_a_camera_of_12_bits_stays_dark() -> None:
    picture = media.read(gray(RAMP * 1500, np.uint16, "PNG"), max_pixels=10_000, reduce_to=None)
    assert np.asarray(picture.image).max() == round(1500 / 4095 * 255)


def test_where_a_tiff_says_that_0_is_white_it_is() -> None:
    image = Image.fromarray((RAMP * 65535).astype(np.uint16))
    data = bytearray(encoded(image, "TIFF"))
    entry = data.index(b"\x06\x01\x03\x00\x01\x00\x00\x00")  # tag 262, SHORT, one value
    assert data[entry + 8] == 1
    data[entry + 8] = 0
    picture = media.read(bytes(data), max_pixels=10_000, reduce_to=None)
    assert np.asarray(picture.image)[0, [0, -1]].tolist() == [255, 0]


def test_numbers_that_are_none_become_black_beside_negative_ones_too() -> None:
    values = (RAMP * 2 - 1).astype(np.float32)
    values[0, :10], values[1, :10] = np.nan, np.inf
    picture = media.read(gray(values, np.float32), max_pixels=10_000, reduce_to=None)
    levels = np.asarray(picture.image)
    assert (levels[:2, :10] == 0).all() and levels[5, -1] == 255
    assert [note.message.split(",")[-1] for note in picture.notes] == [
        " stretched from black to white",
        " taken as black",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gray(np.zeros((60, 100)), np.float32), "all of one colour"),
        (gray(np.zeros((60, 100)), np.uint16), "all of one colour"),
        (gray(np.full((60, 100), -3), np.float32), "all of one colour"),
        (gray(RAMP * 0.01, np.float32), "all of one colour"),
        (gray(RAMP * 0.05, np.float32), "nearly black"),
        (encoded(Image.fromarray((np.dstack([RAMP] * 3) * 14).astype(np.uint8))), "nearly black"),
    ],
)
def test_what_stays_black_is_said(data: bytes, message: str) -> None:
    assert message in str(prepare(data, Preprocessing(48, "rgb")).note)


def test_a_colour_png_with_12_of_its_16_bits_is_said_to_be_nearly_black() -> None:
    values = (np.dstack([RAMP] * 3) * 4095).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 100, 60, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert "nearly black" in str(prepare(data, Preprocessing(48, "rgb")).note)


def test_what_is_not_a_picture_of_gray_is_left_alone() -> None:
    image = Image.open(io.BytesIO(encoded(Image.new("RGB", (30, 30), "red"))))
    assert reading.shown(image, None).image.getpixel((3, 3)) == (255, 0, 0)
