"""The one way from an image file to the bytes a network sees.

Predicting, judging and exporting prepare every image in full (``VERSION`` of ``preparing``); the recipe in
docs/export.md does the same in 20 lines. The cache of a training may decode the images it learns from at a fraction of
their size (``SCALED``), which is quicker and gives slightly other pixels, so the two are kept under different keys.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.modalities.image import reading
from emolab.modalities.image.jpeg import decode_jpeg
from emolab.modalities.preparing import SCALED, VERSION, Prepared, Preprocessing, Unprepared, bytes_of, name_of

JPEG_FORMATS = ("JPEG", "MPO")
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")


class UnreadableImage(Unprepared):
    """An image file that cannot be decoded or shows nothing."""

    KIND = "an image"


def prepare(media: bytes | Path, wanted: Preprocessing, *, max_pixels: int | None = None) -> Prepared:
    """The pixels of an encoded image, decoded in full, with a note.

    In this order: the first frame; upright by EXIF; 8 bits; transparency on white; sRGB; gray (ITU-R 601) or RGB;
    scaled bilinearly, with antialiasing, so that the longer side fits; centred on black. Raises
    :class:`UnreadableImage` for what is no image, has more than ``max_pixels``, or shows nothing: every pixel
    transparent, NaN or infinite.
    """
    data = bytes_of(media, UnreadableImage)
    try:
        return prepare_image(reading.load(data, max_pixels=max_pixels), wanted)
    except reading.Unreadable as error:
        raise UnreadableImage(name_of(media), f"{error.kind}: {error.message}") from error


def prepare_image(image: Image.Image, wanted: Preprocessing) -> Prepared:
    """The same for an image that is open already. Raises :class:`images.Unreadable` when it shows nothing."""
    upright = reading.upright(image)
    shown = reading.shown(upright, image.info.get("icc_profile"))
    mode = "L" if wanted.channels == 1 else "RGB"
    small = _fitted(shown.image if shown.image.mode == mode else shown.image.convert(mode), wanted.size)
    # Pillow's own: numpy takes five times as long as decoding a JPEG for the extremes of three interleaved channels
    found = small.getextrema()
    extrema = cast("list[tuple[float, float]]", [found] if mode == "L" else found)
    notes = [*(note.message for note in shown.notes), *reading.doubts(upright.size, extrema)]
    return Prepared(_padded(small, wanted), "; ".join(notes) or None)


def decode(media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
    """Pixels (size, size, channels) of an encoded image, as :func:`prepare` makes them, or scaled by its decoder.

    Raises :class:`UnreadableImage` for what is no image.
    """
    if wanted.version == SCALED:
        pixels = _scaled(bytes_of(media, UnreadableImage), wanted)
        if pixels is not None:
            return pixels
    return prepare(media, wanted).pixels


def is_gray(media: bytes | Path) -> bool:
    """Whether the file stores one channel; reads only its header. Raises :class:`DataError` for what is no image."""
    try:
        with Image.open(io.BytesIO(media) if isinstance(media, bytes) else media) as image:
            return image.mode in GRAY_MODES
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(name_of(media), str(error)) from error


def described(wanted: Preprocessing) -> dict[str, Any]:
    """What :func:`prepare` does, step by step, for the document of an exported model."""
    gray = "gray = (19595 R + 38470 G + 7471 B + 32768) >> 16, as ITU-R 601-2"
    return {
        "version": VERSION,
        "decode": "first frame, in full: never at a fraction of its size",
        "orientation": "upright by EXIF or XMP, before anything else",
        "bits": "8: of gray with more, white is the least of 1, 255, 1023, 4095, 16383, 65535 that no value exceeds; "
        "where values are below 0, the highest is above 1 and at most 32, or above 65535, their range; rounded",
        "transparency": "on white",
        "colour_profile": "to sRGB, where it is another RGB or CMYK profile",
        "color": wanted.color,
        "channels": [gray] if wanted.channels == 1 else ["red", "green", "blue"],
        "fit": f"longer side to {wanted.size}, other side max(1, round(shorter / longer * {wanted.size}))",
        "resample": "bilinear with antialiasing (Pillow: Image.Resampling.BILINEAR), rounded to whole numbers",
        "padding": {"value": 0, "left": "round((size - width) / 2)", "top": "round((size - height) / 2)"},
        "rounding": "halves to the even number",
        "dtype": "uint8",
        "range": [0, 255],
        "layout": "NHWC",
        "recipe": "docs/export.md",
    }


def _scaled(data: bytes, wanted: Preprocessing) -> NDArray[np.uint8] | None:
    """Pixels of a JPEG decoded at a fraction of its size; ``None`` for everything else, and for a damaged one."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.format not in JPEG_FORMATS or opened.mode not in ("L", "RGB"):
                return None
            turned = reading.orientation(opened)
            return decode_jpeg(data, opened.size, wanted.size, wanted.channels, orientation=turned)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # decoding in full says what is wrong


def _fitted(image: Image.Image, size: int) -> Image.Image:
    longer = max(image.size)
    width, height = (max(1, round(side / longer * size)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _padded(small: Image.Image, wanted: Preprocessing) -> NDArray[np.uint8]:
    square = Image.new(small.mode, (wanted.size, wanted.size))
    left, top = (round((wanted.size - side) / 2) for side in small.size)
    square.paste(small, (left, top))
    return np.array(square, dtype=np.uint8).reshape(wanted.size, wanted.size, wanted.channels)
