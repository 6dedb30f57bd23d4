"""From the bytes of an image file to a picture: checked, upright, sRGB, without metadata, in 8 bits.

1. :func:`emolab.datasets.strip.strip` takes metadata off JPEG and PNG without touching the pixels.
2. Everything is decoded once, to prove it whole; a picture that will not be cut is decoded at reduced scale where
   the format can do that, which still reads all of the data.
3. What cannot stay as it is (to be turned by EXIF, CMYK, a colour profile other than sRGB, transparency, 16 bits,
   animation, any other format) is written again: as PNG, or as JPEG quality 95 without chroma subsampling when it was
   a JPEG, where lossless would only preserve the first encoder's noise at five times the size.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from emolab.datasets.problems import Refused
from emolab.datasets.strip import Stripped, strip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}

#: Shorter side to which a picture may be reduced while decoding when only its quality is asked for.
REDUCED = 112

#: Pixels up to which opening a picture as a file costs as much as its pixels.
SMALL = 1 << 16

#: Pillow would hand these to Ghostscript.
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A picture ready to be kept.

    ``image`` has mode L or RGB, is upright, and may be a smaller grey version; ``size`` is (width, height) of the
    full one. ``format`` is JPEG or PNG. ``origin`` is the hex sha256 of the stripped input before anything was
    written again: the same photo has the same origin whatever was cut from it. ``source`` is the format the input
    really had ("" for pixels), ``note`` what had to be assumed about it, ``plain`` the stripped input where it can be
    kept as it is.
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    origin: str
    source: str = ""
    note: str | None = None
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

    Raises :class:`Refused`: empty, not an image, too large, truncated or damaged.
    """
    if not data:
        raise Refused("empty", "the file has no bytes")
    if data.startswith(_POSTSCRIPT):
        raise Refused("not an image", "a PostScript program, which would have to be run; convert it to PNG first")
    try:
        return _read(data, max_pixels, reduce_to)
    except Refused:
        raise
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


def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile describes sRGB or plain grey with its curve, so that pixels can stay as they are."""
    head = profile[:4096]
    return b"sRGB" in head or b"s\0R\0G\0B" in head or profile[16:20] == b"GRAY"


def bgr(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels as OpenCV wants them: (height, width, 3), blue first."""
    import numpy as np

    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def _read(data: bytes, max_pixels: int, reduce_to: int | None) -> Picture:
    plain = strip(data)
    if plain is None or plain.rewrite or plain.orientation != 1 or (plain.profile and not is_srgb(plain.profile)):
        return _rewritten(data, plain, max_pixels)
    image = _unpacked(plain, max_pixels) or _decode(plain.data, max_pixels, reduce_to)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB") if image.mode in ("P", "YCbCr") else image.convert("L")
    origin = hashlib.sha256(plain.data).hexdigest()
    return Picture(image, plain.size, plain.format, origin, plain.format, plain=plain.data)


def _rewritten(data: bytes, plain: Stripped | None, max_pixels: int) -> Picture:
    image = _decode(data, max_pixels, None)
    source = "JPEG" if image.format == "MPO" else image.format or ""
    profile = plain.profile if plain else image.info.get("icc_profile")
    turn = _TURNS.get(plain.orientation) if plain else None
    image = ImageOps.exif_transpose(image) if plain is None else image
    image = image.transpose(turn) if turn is not None else image
    image = _to_8_bits(image)
    note = None
    if profile and not is_srgb(profile):
        converted = _to_srgb(image, profile)
        note = None if converted else "its colour profile cannot be used; colours taken as sRGB"
        image = converted or image
    image = _flatten(image)
    origin = hashlib.sha256(plain.data).hexdigest() if plain else _pixel_hash(image)
    format = "JPEG" if source == "JPEG" else "PNG"
    return Picture(image, image.size, format, origin, source, note)


def _unpacked(plain: Stripped, max_pixels: int) -> Image.Image | None:
    """The pixels of a small plain PNG in two thirds of the time it takes to open it as a file.

    ``None`` for everything else, and when the stream is not whole: :func:`_decode` says what is wrong with it.
    """
    if plain.packed is None or plain.size[0] * plain.size[1] > min(SMALL, max_pixels):
        return None
    try:
        return Image.frombytes(plain.mode, plain.size, plain.packed, "zip", plain.mode)
    except ValueError:
        return None


def _decode(data: bytes, max_pixels: int, reduce_to: int | None) -> Image.Image:
    """The first frame, fully read. Pillow's many ways to fail become one :class:`Refused` each."""
    try:
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        if width * height > max_pixels:
            raise _too_large(f"{width:,} x {height:,}", max_pixels)
        if reduce_to is not None:
            image.draft("L", (reduce_to, reduce_to))
        image.load()
    except UnidentifiedImageError:
        raise Refused("not an image", _unknown(data)) from None
    except Image.DecompressionBombError as error:
        plain = strip(data)
        raise _too_large(f"{plain.size[0]:,} x {plain.size[1]:,}" if plain else "too many", max_pixels) from error
    except (OSError, EOFError) as error:
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise Refused("truncated", "the file ends before the picture does") from error
        raise Refused("damaged", str(error)) from error
    return image


def _unknown(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return f"Pillow does not read {data[8:12].decode('latin-1')} files here; convert it to JPEG first"
    return f"no image format starts with {data[:8]!r}"


def _too_large(pixels: str, limit: int) -> Refused:
    return Refused("too large", f"{pixels} pixels; the limit is {limit / 1e6:,.0f} million (collect.max_pixels)")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey with more than 8 bits per pixel as L; other modes unchanged.

    Whole numbers above 255 are taken as 16 bits, fractions up to 1 as shares of white.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    import numpy as np

    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    high = float(values.max(initial=0))
    if image.mode == "F" and high <= 1:
        values = values * 255
    elif high > 255:
        values = values * (255 / max(65535, high))
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """``image`` in sRGB, or ``None`` when its profile cannot be used."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "L" if image.mode == "L" else "RGB"
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _flatten(image: Image.Image) -> Image.Image:
    """Mode L or RGB; transparency becomes white."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in ("1", "I", "F"):
        return image.convert("L")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(ground, rgba).convert("RGB")
        return flat.convert("L") if image.mode in ("LA", "La") else flat
    return image.convert("RGB")


def _pixel_hash(image: Image.Image) -> str:
    head = f"{image.mode} {image.width} {image.height} ".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()
