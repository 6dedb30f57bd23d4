"""What an image file shows: opened or refused with a reason; then 8 bits, no transparency, sRGB.

Collecting, training, predicting and exporting share this, so that one file shows the same pixels everywhere.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

#: Pillow would hand these to Ghostscript.
POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
#: Kind of the refusal of a file that opens and shows nothing.
NOTHING = "nothing in it"
#: The EXIF tag of the orientation, and what undoes each of its values.
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: An image of which more than this share is transparent gets a note.
MOSTLY_TRANSPARENT = 0.9


class Unreadable(Exception):
    """An image file cannot be used: ``kind`` in a word or two ("truncated", ...), ``message`` in a sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True)
class Shown:
    """``image`` has mode L or RGB, 8 bits, sRGB; ``notes`` say what had to be assumed about it."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def load(
    data: bytes, *, max_pixels: int | None = None, reduce_to: int | None = None, size: tuple[int, int] | None = None
) -> Image.Image:
    """The first frame of the file ``data``, fully read.

    With ``reduce_to`` a JPEG may be decoded as gray at a fraction of its size, down to that shorter side. ``size``
    (width, height), where known from elsewhere, is for the message about a file that is too large. Raises
    :class:`Unreadable`: empty, not an image, too large, truncated, damaged.
    """
    if not data:
        raise Unreadable("empty", "the file has no bytes")
    if data.startswith(POSTSCRIPT):
        raise Unreadable("not an image", "a PostScript program, which would have to be run; convert it to PNG first")
    try:
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        if max_pixels is not None and width * height > max_pixels:
            raise _too_large(f"{width:,} x {height:,}", max_pixels)
        if reduce_to is not None:
            image.draft("L", (reduce_to, reduce_to))
        image.load()
    except UnidentifiedImageError:
        raise Unreadable("not an image", _unknown(data)) from None
    except Image.DecompressionBombError as error:
        raise _too_large(f"{size[0]:,} x {size[1]:,}" if size else "too many", max_pixels) from error
    except (OSError, EOFError) as error:
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise Unreadable("truncated", "the file ends before the picture does") from error
        raise Unreadable("damaged", str(error)) from error
    except Unreadable:
        raise
    except Exception as error:  # a decoder can fail in any way on bytes from anywhere; one bad file is one line
        raise Unreadable("damaged", f"{type(error).__name__}: {error}") from error
    return image


def orientation(image: Image.Image) -> int:
    """The orientation 1..8 that the EXIF data of ``image`` tell; 1 where they are missing or make no sense."""
    try:
        found = image.getexif().get(ORIENTATION)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):  # EXIF data may be damaged in any way
        return 1
    return found if isinstance(found, int) and found in TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """``image`` turned as its EXIF data say."""
    turn = TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def shown(image: Image.Image, profile: bytes | None) -> Shown:
    """``image`` in 8 bits, on white, in sRGB; ``profile`` is the ICC profile that came with it.

    Raises :class:`Unreadable` of kind ``NOTHING`` for an image without pixels, without one finite number, or all of
    it transparent.
    """
    if 0 in image.size:
        raise Unreadable(NOTHING, f"it is {image.size[0]} x {image.size[1]} pixels")
    image, notes = _eight_bits(image) if image.mode.startswith(("I", "F")) else (image, [])
    if image.has_transparency_data:
        image, clear = _on_white(image)
        notes += [f"{clear:.0%} of it is transparent, taken as white"] if clear > MOSTLY_TRANSPARENT else []
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile and not is_srgb(profile):
        converted = _to_srgb(image, profile)
        notes += [] if converted else ["its colour profile cannot be used; colours taken as sRGB"]
        image = converted or image
    return Shown(image.convert("RGB") if image.mode == "CMYK" else image, tuple(notes))


def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile describes sRGB or plain gray with its curve, so that pixels can stay as they are."""
    head = profile[:4096]
    return b"sRGB" in head or b"s\0R\0G\0B" in head or profile[16:20] == b"GRAY"


def _eight_bits(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Gray with more than 8 bits per pixel as L, and notes.

    Fractions up to 1 are shares of white, whole numbers above 255 are taken as 16 bits. What is no finite number
    becomes black; a 16-bit value that the file declares transparent becomes white.
    """
    values = np.asarray(image, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        raise Unreadable(NOTHING, "every pixel is NaN or infinite")
    clear = values == image.info["transparency"] if isinstance(image.info.get("transparency"), int) else None
    if clear is not None and clear.all():
        raise Unreadable(NOTHING, "every pixel is transparent")
    notes = []
    if not finite.all():
        odd = values.size - int(finite.sum())
        values = np.where(finite, values, np.float32(0))
        notes.append(f"{odd:,} of its {values.size:,} pixels are NaN or infinite, taken as black")
    high = float(values.max())
    scale = 255.0 if image.mode == "F" and high <= 1 else 255 / max(65535.0, high) if high > 255 else 1.0
    levels = (values * np.float32(scale)).clip(0, 255).round().astype(np.uint8)
    if clear is not None:
        levels[clear] = 255
    return Image.fromarray(levels), notes


def _on_white(image: Image.Image) -> tuple[Image.Image, float]:
    """``image`` on white, L where it was gray, else RGB; and which share of its pixels is fully transparent."""
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    clear = alpha.histogram()[0] / (image.width * image.height)
    if clear == 1:
        raise Unreadable(NOTHING, "every pixel is transparent")
    flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return flat.convert("L") if image.mode in ("LA", "La") else flat, clear


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """``image`` in sRGB, or ``None`` when its profile cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "L" if image.mode == "L" else "RGB"
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _unknown(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return f"Pillow does not read {data[8:12].decode('latin-1')} files here; convert it to JPEG first"
    return f"no image format starts with {data[:8]!r}"


def _too_large(pixels: str, limit: int | None) -> Unreadable:
    most = f"{(limit or 2 * (Image.MAX_IMAGE_PIXELS or 0)) / 1e6:,.0f} million"
    setting = " (collect.max_pixels)" if limit else ""
    return Unreadable("too large", f"{pixels} pixels; the limit is {most}{setting}")
