"""Which way an image is to be turned, by whatever metadata Pillow finds that in.

EXIF in any form (a JPEG's segments, also several or with a doubled header, a PNG's eXIf or "Raw profile type exif",
WebP, TIFF, HEIC), or XMP where EXIF says nothing: what :func:`PIL.ImageOps.exif_transpose` turns is turned here.
"""

from __future__ import annotations

import io
import struct

from PIL import Image

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
#: What reading metadata may raise: they may be damaged in any way.
_DAMAGED = (
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    OSError,
    EOFError,
    struct.error,
)


def orientation(image: Image.Image) -> int:
    """The orientation 1..8 that the metadata of ``image`` tell; 1 where they are missing or make no sense."""
    try:
        found = image.getexif().get(ORIENTATION)
        return int(found) if found in TURNS else 1
    except _DAMAGED:
        return 1


def orientation_of(data: bytes) -> int:
    """The same for the image file ``data``; 1 where it cannot be opened."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return orientation(image)
    except (*_DAMAGED, Image.DecompressionBombError):
        return 1


def upright(image: Image.Image) -> Image.Image:
    """``image`` turned as its metadata say."""
    turn = TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)
