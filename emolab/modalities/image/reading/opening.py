"""From bytes to an open image, or a refusal that says what the bytes are."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from emolab.modalities.image.reading import contents, heif
from emolab.modalities.image.reading.unreadable import Unreadable

#: Pillow would hand these to Ghostscript.
POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")


def load(
    data: bytes, *, max_pixels: int | None = None, reduce_to: int | None = None, size: tuple[int, int] | None = None
) -> Image.Image:
    """The first frame of the file ``data``, fully read.

    With ``reduce_to`` a JPEG may be decoded as gray at a fraction of its size, down to that shorter side. ``size``
    (width, height), where known from elsewhere, is for the message about a file that is too large. Raises
    :class:`Unreadable`: empty, not an image, unsupported, too large, truncated, damaged.
    """
    if not data:
        raise Unreadable("empty", "the file has no bytes")
    if data.startswith(POSTSCRIPT):
        raise Unreadable("not an image", "a PostScript program, which would have to be run; convert it to PNG first")
    if heif.is_heif(data) and (problem := heif.register()):
        raise Unreadable("unsupported", problem)
    try:
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        if max_pixels is not None and width * height > max_pixels:
            raise _too_large(f"{width:,} x {height:,}", max_pixels)
        if reduce_to is not None:
            image.draft("L", (reduce_to, reduce_to))
        image.load()
    except UnidentifiedImageError:
        raise contents.refusal(data) from None
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


def _too_large(pixels: str, limit: int | None) -> Unreadable:
    most = f"{(limit or 2 * (Image.MAX_IMAGE_PIXELS or 0)) / 1e6:,.0f} million"
    setting = " (collect.max_pixels)" if limit else ""
    return Unreadable("too large", f"{pixels} pixels; the limit is {most}{setting}")
