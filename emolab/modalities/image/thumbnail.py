"""Small pictures of large ones, to be shown many at a time: upright, sRGB, and nothing in them but pixels."""

from __future__ import annotations

import io

from PIL import Image

from emolab.modalities.image import reading
from emolab.modalities.problems import Refused

#: Pixels of the longer side.
SIDE = 128
#: What is kept of it: at this quality a face of 128 pixels has about 3 kB.
QUALITY = 85


def thumbnail(data: bytes, *, max_pixels: int, side: int = SIDE) -> bytes:
    """A JPEG of the picture in ``data`` with at most ``side`` pixels; small pictures keep their size.

    It is made again from pixels, so no metadata of the file gets into it. Raises :class:`Refused` for what is no
    picture.
    """
    try:
        opened = reading.load(data, max_pixels=max_pixels)
        shown = reading.shown(reading.upright(opened), opened.info.get("icc_profile")).image
    except reading.Unreadable as error:
        raise Refused(error.kind, error.message) from error
    small = shown if shown.mode in ("L", "RGB") else shown.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    bare = Image.frombytes(small.mode, small.size, small.tobytes())
    bare.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
