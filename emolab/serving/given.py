"""What people hand in: bytes, files, functions, Pillow images and arrays, each as pixels or as an encoded image.

What is encoded goes the one way of :mod:`emolab.modalities.image`. Pixels that need no understanding (gray or RGB, with
nothing said about being turned or coloured) skip that way, which would leave them as they are.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.errors import DataError
from emolab.files import TooLarge, open_file, read_file
from emolab.modalities.image.decode import JPEG_FORMATS
from emolab.modalities.image.reading import heif, levels

#: What may be classified: encoded bytes, a path, a function that gives bytes, a Pillow image, or pixels (h, w) or
#: (h, w, 3) of 0..255 in the order red, green, blue.
Media = bytes | Path | Callable[[], bytes] | Image.Image | NDArray[np.uint8]

#: What a Pillow image may say about itself without a word on turning, colours or transparency.
_IDLE = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "progressive", "progression", "compression"}
_HEAD = 256


def as_image(given: Media) -> Image.Image | None:
    """Pixels as an image of mode L or RGB; ``None`` for what is encoded, or must be understood first.

    Raises :class:`DataError` for an array that is no image.
    """
    if isinstance(given, np.ndarray):
        given = _of_array(given)
    if isinstance(given, Image.Image) and given.mode in ("L", "RGB") and given.info.keys() <= _IDLE:
        return given
    return None


def as_bytes(given: Media, *, limit: int) -> bytes:
    """An encoded image of at most ``limit`` bytes; a Pillow image or array is encoded without loss.

    Raises :class:`emolab.files.TooLarge`, :class:`OSError`, and whatever a function raises.
    """
    if isinstance(given, Path):
        return read_file(given, limit=limit)
    if isinstance(given, np.ndarray):
        given = _of_array(given)
    data = _encoded(given) if isinstance(given, Image.Image) else given if isinstance(given, bytes) else given()
    if len(data) > limit:
        raise TooLarge(limit)
    return data


def size_of(given: Media) -> tuple[int, int] | None:
    """(width, height) as the header says, before any turning; ``None`` for what is no image."""
    if isinstance(given, np.ndarray):
        given = _of_array(given)
    if isinstance(given, Image.Image):
        return given.size
    data = given() if callable(given) else given
    found = _header_size(data)
    if found is None and heif.is_heif(_start(data)) and not heif.register():  # whatever it is called
        found = _header_size(data)
    return found


def from_jpeg(given: Media) -> bool:
    """Whether it is a Pillow image that is a JPEG file still, as it was opened."""
    return isinstance(given, Image.Image) and given.format in JPEG_FORMATS


def _header_size(data: bytes | Path) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as opened:
            return opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _start(data: bytes | Path) -> bytes:
    """The first bytes, as many as tell HEIC apart."""
    if isinstance(data, bytes):
        return data[:_HEAD]
    try:
        with open_file(data) as stream:
            return stream.read(_HEAD)
    except OSError:
        return b""


def _of_array(pixels: NDArray[np.uint8]) -> Image.Image:
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not fits or 0 in pixels.shape:
        raise DataError(
            f"An array of {pixels.dtype} with shape {pixels.shape} is no image.",
            hint="Give (height, width) or (height, width, 3) of numpy.uint8, in the order red, green, blue.",
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _encoded(image: Image.Image) -> bytes:
    """``image`` without loss, and with what it says about being turned and coloured, and about 0 being white."""
    stream = io.BytesIO()
    more = {"exif": image.getexif(), "icc_profile": image.info.get("icc_profile")}
    if levels.white_is_zero(image):
        image.save(stream, format="TIFF", tiffinfo=levels.WHITE_IS_ZERO, **more)
        return stream.getvalue()
    try:
        image.save(stream, format="PNG", **more)
    except OSError:  # a mode that PNG cannot hold, such as CMYK
        stream = io.BytesIO()
        image.save(stream, format="TIFF", **more)
    return stream.getvalue()
