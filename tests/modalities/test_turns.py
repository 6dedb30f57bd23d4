"""What Pillow turns is turned, whichever way the file says it, when it is stored and when it is classified at once."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, ImageOps

from emolab.modalities.image import media, reading
from emolab.modalities.image.decode import decode
from emolab.modalities.image.reading.turns import TURNS
from emolab.modalities.preparing import Preprocessing
from tests.support.forms import (
    EXIF,
    ORIENTED,
    XMP_JPEG,
    chunk,
    corners,
    exif_block,
    jpeg_with,
    png_with,
    raw_profile,
    scene,
    xmp,
)

#: What a camera that was held so writes: the opposite of what undoes it.
HELD = {
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
    5: Image.Transpose.TRANSPOSE,
    7: Image.Transpose.TRANSVERSE,
}


def held(orientation: int) -> Image.Image:
    turn = HELD.get(orientation, TURNS.get(orientation))
    return scene() if turn is None else scene().transpose(turn)


@pytest.mark.parametrize("orientation", [3, 5, 6])
@pytest.mark.parametrize("form", ORIENTED)
def test_every_form_of_orientation_is_applied_once(form: str, orientation: int) -> None:
    data = ORIENTED[form](held(orientation), orientation)
    with Image.open(io.BytesIO(data)) as opened:
        assert corners(ImageOps.exif_transpose(opened)) == "RGBB", "Pillow turns this file, so emolab must"
    picture = media.read(data, max_pixels=10_000, reduce_to=None)
    assert (corners(picture.image), picture.size) == ("RGBB", (60, 40))
    stored = Image.open(io.BytesIO(picture.data))
    assert corners(stored) == "RGBB"
    assert (reading.orientation(stored), reading.orientation(reading.load(picture.data))) == (1, 1)
    if not form.startswith("JPEG"):  # which is encoded once more
        wanted = Preprocessing(48, "rgb")
        assert (decode(data, wanted) == decode(picture.data, wanted)).all()


@pytest.mark.parametrize("form", ORIENTED)
def test_a_network_sees_every_form_upright(form: str) -> None:
    pixels = decode(ORIENTED[form](held(6), 6), Preprocessing(48, "rgb"))
    assert corners(Image.fromarray(pixels[8:40])) == "RGBB"


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(scene(), EXIF + exif_block(1), EXIF + exif_block(6)),  # the first one counts
        jpeg_with(scene(), EXIF + exif_block(1), XMP_JPEG + xmp(6)),  # XMP counts where EXIF is silent
        jpeg_with(scene(), EXIF + exif_block(0)),
        jpeg_with(scene(), EXIF + exif_block(9)),
        jpeg_with(scene(), EXIF + b"II*\0"),
        jpeg_with(scene(), EXIF + b"MM\0*\xff\xff\xff\xff"),
        jpeg_with(scene(), EXIF + b"XX" + bytes(30)),
        png_with(scene(), chunk(b"eXIf", b"")),
        png_with(scene(), raw_profile(exif_block(6))[:-40] + bytes(40)),
        png_with(scene(), chunk(b"tEXt", b"Raw profile type exif\0no hexadecimal text\n\n\nxyz")),
        png_with(scene(), chunk(b"tEXt", b"Comment\0" + xmp(6))),
    ],
)
def test_metadata_that_say_nothing_leave_an_image_as_it_is(data: bytes) -> None:
    try:
        picture = media.read(data, max_pixels=10_000, reduce_to=None)
    except media.Refused as refused:
        assert refused.kind in ("damaged", "not an image")  # a PNG with a wrong checksum
    else:
        assert corners(picture.image) == "RGBB"


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_damaged_metadata_never_end_a_run() -> None:
    rng = random.Random(3)
    for form, make in ORIENTED.items():
        whole = make(held(6), 6)
        for _ in range(15):
            data = bytearray(whole)
            for _ in range(4):
                data[rng.randrange(min(len(data), 600))] = rng.randrange(256)
            try:
                picture = media.read(bytes(data), max_pixels=10_000, reduce_to=None)
            except media.Refused as refused:
                assert refused.message, form
            else:
                assert picture.image.mode in ("L", "RGB"), form
