"""The one way from an image file to the bytes a network sees.

Predicting, judging and exporting prepare every image in full (version ``VERSION``); the recipe in docs/export.md does
the same in 20 lines. The cache of a training may decode the images it learns from at a fraction of their size
(version ``SCALED``), which is quicker and gives slightly other pixels, so the two are kept under different keys.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.errors import DataError
from emolab.files import TooLarge, read_file
from emolab.inference import prediction_store
from emolab.modalities.image import reading
from emolab.modalities.image.jpeg import decode_jpeg

#: How images are prepared for a network. A change of any pixel of a sample (which is upright, 8 bits, sRGB) needs a
#: new number.
#: 1: JPEGs reduced by Pillow's draft mode. 2: JPEGs by a scaled cosine transform. 3: everything in full.
VERSION = prediction_store.PREPARATION
#: What a training may learn from: JPEGs as in 2, everything else as in 3.
SCALED = 2
#: What models may have learned from; they are all given images of ``VERSION``.
VERSIONS = (1, 2, 3)
JPEG_FORMATS = ("JPEG", "MPO")
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")


class UnreadableImage(DataError):
    """An image file that cannot be decoded or shows nothing; ``reason`` says why, without its name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be read as an image: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes an array (size, size, channels) of bytes, by which version of :func:`decode`."""

    size: int
    color: str  # gray | rgb
    version: int = VERSION

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.color == "gray" else 3

    @property
    def scaled(self) -> Preprocessing:
        """The quicker way, for images to learn from."""
        return replace(self, version=SCALED)


@dataclass(frozen=True)
class Prepared:
    """``pixels`` (size, size, channels) of an image; ``note`` says why they may be worth little, if they may."""

    pixels: NDArray[np.uint8]
    note: str | None = None


def prepare(media: bytes | Path, wanted: Preprocessing, *, max_pixels: int | None = None) -> Prepared:
    """The pixels of an encoded image, decoded in full, with a note.

    In this order: the first frame; upright by EXIF; 8 bits; transparency on white; sRGB; gray (ITU-R 601) or RGB;
    scaled bilinearly, with antialiasing, so that the longer side fits; centred on black. Raises
    :class:`UnreadableImage` for what is no image, has more than ``max_pixels``, or shows nothing: every pixel
    transparent, NaN or infinite.
    """
    data = _bytes(media)
    try:
        return prepare_image(reading.load(data, max_pixels=max_pixels), wanted)
    except reading.Unreadable as error:
        raise UnreadableImage(_name(media), f"{error.kind}: {error.message}") from error


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
        pixels = _scaled(_bytes(media), wanted)
        if pixels is not None:
            return pixels
    return prepare(media, wanted).pixels


def decode_many(
    media: Sequence[bytes | Path], wanted: Preprocessing, *, pool: ThreadPoolExecutor | None = None
) -> NDArray[np.uint8]:
    """Pixels (n, size, size, channels), on the threads of ``pool`` where one is given."""
    out = np.empty((len(media), wanted.size, wanted.size, wanted.channels), dtype=np.uint8)
    walk = pool.map if pool else map
    for row, pixels in enumerate(walk(lambda item: decode(item, wanted), media)):
        out[row] = pixels
    return out


def is_gray(media: bytes | Path) -> bool:
    """Whether the file stores one channel; reads only its header. Raises :class:`DataError` for what is no image."""
    try:
        with Image.open(io.BytesIO(media) if isinstance(media, bytes) else media) as image:
            return image.mode in GRAY_MODES
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(_name(media), str(error)) from error


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


def _bytes(media: bytes | Path) -> bytes:
    if isinstance(media, bytes):
        return media
    try:
        return read_file(media)
    except OSError as error:
        raise UnreadableImage(str(media), (error.strerror or str(error)).lower()) from error
    except TooLarge as error:
        raise UnreadableImage(str(media), str(error)) from error


def _name(media: bytes | Path) -> str:
    return "these bytes" if isinstance(media, bytes) else str(media)
