"""The one way from an image file to the bytes a network sees; training and prediction share it."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from emolab.errors import DataError
from emolab.training.jpeg import decode_jpeg

#: How images are decoded for models trained from now on; part of every cache key. A change of any pixel needs a new
#: number here, and :func:`decode` must go on giving the old pixels to the models of every number in ``VERSIONS``.
#: 1: everything by Pillow. 2: JPEGs by a scaled cosine transform; all other formats exactly as in 1.
VERSION = 2
VERSIONS = (1, 2)
JPEG_FORMATS = ("JPEG", "MPO")
ORIENTATION = 0x0112
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")


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


def decode(media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
    """Pixels (size, size, channels) of an encoded image.

    Orientation from EXIF is applied, transparency becomes black, the image is scaled bilinearly (with antialiasing)
    so that its longer side fits, and padded with black to a square. Raises :class:`DataError` for what is no image.
    """
    try:
        data = media if isinstance(media, bytes) else media.read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            if wanted.version >= 2 and opened.format in JPEG_FORMATS and opened.mode in ("L", "RGB"):
                turned = int(opened.getexif().get(ORIENTATION, 1))
                pixels = decode_jpeg(data, opened.size, wanted.size, wanted.channels, orientation=turned)
                if pixels is not None:
                    return pixels
            return _by_pillow(opened, wanted)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        name = "these bytes" if isinstance(media, bytes) else str(media)
        raise DataError(f"{name} cannot be read as an image: {error}") from error


def _by_pillow(opened: Image.Image, wanted: Preprocessing) -> NDArray[np.uint8]:
    opened.draft("L" if wanted.channels == 1 else "RGB", (2 * wanted.size, 2 * wanted.size))
    image = ImageOps.exif_transpose(opened)
    image = _eight_bits(image).convert("L" if wanted.channels == 1 else "RGB")
    if image.size != (wanted.size, wanted.size):
        image = ImageOps.pad(image, (wanted.size, wanted.size), Image.Resampling.BILINEAR)
    return np.array(image, dtype=np.uint8).reshape(wanted.size, wanted.size, wanted.channels)


def is_gray(media: bytes | Path) -> bool:
    """Whether the file stores one channel; reads only its header. Raises :class:`DataError` for what is no image."""
    try:
        with Image.open(io.BytesIO(media) if isinstance(media, bytes) else media) as image:
            return image.mode in GRAY_MODES
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        name = "these bytes" if isinstance(media, bytes) else str(media)
        raise DataError(f"{name} cannot be read as an image: {error}") from error


def decode_many(
    media: list[bytes | Path], wanted: Preprocessing, *, pool: ThreadPoolExecutor | None = None
) -> NDArray[np.uint8]:
    """Pixels (n, size, size, channels), on the threads of ``pool`` where one is given."""
    out = np.empty((len(media), wanted.size, wanted.size, wanted.channels), dtype=np.uint8)
    walk = pool.map if pool else map
    for row, pixels in enumerate(walk(lambda item: decode(item, wanted), media)):
        out[row] = pixels
    return out


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and floating gray as 8 bits, by their own range; everything else unchanged; transparency on black."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        shown = image.convert("RGBA")
        base = Image.new("RGBA", shown.size, (0, 0, 0, 255))
        return Image.alpha_composite(base, shown)
    return image
