"""From the bytes of an image file to a picture: checked, upright, sRGB, without metadata, in 8 bits.

1. :func:`emolab.modalities.image.strip.strip` takes metadata off JPEG and PNG without touching the pixels.
2. Everything is decoded once, to prove it whole; a picture that will not be cut is decoded at reduced scale where
   the format can do that, which still reads all of the data.
3. What cannot stay as it is (to be turned by its metadata, CMYK, a colour profile other than sRGB, transparency,
   16 bits, animation, any other format) is written again: as PNG, or as JPEG quality 95 without chroma subsampling when
   it was a JPEG, where lossless would only preserve the first encoder's noise at five times the size.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

from emolab.modalities.image import reading
from emolab.modalities.image.strip import Stripped, strip
from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}

#: Shorter side to which a picture may be reduced while decoding when only its quality is asked for.
REDUCED = 112

#: Pixels up to which opening a picture as a file costs as much as its pixels.
SMALL = 1 << 16


@dataclass(frozen=True)
class Picture:
    """A picture ready to be kept.

    ``image`` has mode L or RGB, is upright, says nothing about turns and colours any more, and may be a smaller grey
    version; ``size`` is (width, height) of the full one. ``format`` is JPEG or PNG. ``origin`` is the hex sha256 of the
    stripped input before anything was written again: the same photo has the same origin whatever was cut from it.
    ``source`` is the format the input really had ("" for pixels), ``notes`` what had to be assumed about it, ``plain``
    the stripped input where it can be kept as it is.
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    origin: str
    source: str = ""
    notes: tuple[reading.Note, ...] = ()
    plain: bytes | None = None

    @cached_property
    def data(self) -> bytes:
        """The bytes to store; encoded on demand, for most photos only faces are kept."""
        return encode(self.image, self.format) if self.plain is None else self.plain

    @cached_property
    def digest(self) -> str:
        """The hex sha256 of ``data``."""
        return hashlib.sha256(self.data).hexdigest() if self.plain is None else self.origin

    @property
    def suffix(self) -> str:
        """The file name suffix of ``data``."""
        return SUFFIXES[self.format]


def read(data: bytes, *, max_pixels: int, reduce_to: int | None = REDUCED) -> Picture:
    """The picture in ``data``; ``reduce_to`` allows ``image`` to be grey and smaller, down to that shorter side.

    Raises :class:`Refused`: empty, not an image, too large, truncated, damaged, or with nothing in it.
    """
    try:
        return _read(data, max_pixels, reduce_to)
    except reading.Unreadable as error:
        raise Refused(error.kind, error.message) from error
    except Exception as error:  # a decoder can fail in any way on bytes from anywhere; one bad file is one line
        raise Refused("damaged", f"{type(error).__name__}: {error}") from error


def from_pixels(image: Image.Image, *, format: str = "PNG") -> Picture:
    """The picture of pixels that were never a file of their own: a video frame, a camera image."""
    image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    return Picture(image, image.size, format, _pixel_hash(image))


def cut(image: Image.Image, box: tuple[int, int, int, int], *, format: str) -> Picture:
    """The part of ``image`` within ``box`` = (left, top, right, bottom), as a picture of its own."""
    return from_pixels(image.crop(box), format=format)


def encode(image: Image.Image, format: str) -> bytes:
    """``image`` as a file without metadata; the same pixels give the same bytes on one installation."""
    out = io.BytesIO()
    if format == "JPEG":
        image.save(out, "JPEG", quality=95, subsampling=0)
    else:
        image.save(out, "PNG", compress_level=6)
    plain = strip(out.getvalue())
    return plain.data if plain else out.getvalue()


def bgr(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels as OpenCV wants them: (height, width, 3), blue first."""
    import numpy as np

    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def _read(data: bytes, max_pixels: int, reduce_to: int | None) -> Picture:
    plain = strip(data)
    if (
        plain is None
        or plain.rewrite
        or plain.orientation != 1
        or (plain.profile and not reading.is_srgb(plain.profile))
    ):
        return _rewritten(data, plain, max_pixels)
    image = _unpacked(plain, max_pixels) or reading.load(
        plain.data, max_pixels=max_pixels, reduce_to=reduce_to, size=plain.size
    )
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB") if image.mode in ("P", "YCbCr") else image.convert("L")
    origin = hashlib.sha256(plain.data).hexdigest()
    return Picture(image, plain.size, plain.format, origin, plain.format, plain=plain.data)


def _rewritten(data: bytes, plain: Stripped | None, max_pixels: int) -> Picture:
    image = reading.load(data, max_pixels=max_pixels, size=plain.size if plain else None)
    source = "JPEG" if image.format == "MPO" else image.format or ""
    shown = reading.shown(reading.upright(image), image.info.get("icc_profile"))
    image = shown.image
    image.info = {}  # it is upright and sRGB now; whoever cuts a face out of it would turn that once more
    origin = hashlib.sha256(plain.data).hexdigest() if plain else _pixel_hash(image)
    format = "JPEG" if source == "JPEG" else "PNG"
    return Picture(image, image.size, format, origin, source, shown.notes)


def _unpacked(plain: Stripped, max_pixels: int) -> Image.Image | None:
    """The pixels of a small plain PNG in two thirds of the time it takes to open it as a file.

    ``None`` for everything else, and when the stream is not whole: :func:`images.load` says what is wrong with it.
    """
    if plain.packed is None or plain.size[0] * plain.size[1] > min(SMALL, max_pixels):
        return None
    try:
        return Image.frombytes(plain.mode, plain.size, plain.packed, "zip", plain.mode)
    except ValueError:
        return None


def _pixel_hash(image: Image.Image) -> str:
    head = f"{image.mode} {image.width} {image.height} ".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()
