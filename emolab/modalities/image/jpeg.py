"""JPEG to pixels of a wanted size: the decoder itself leaves out what scaling would throw away."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: What the coefficients of a JPEG can be scaled down by, with cv2's flags for gray and for colour.
REDUCED = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2, cv2.IMREAD_REDUCED_COLOR_2),
    (1, cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR),
)
#: Counter-clockwise quarter turns and mirroring (before them) that undo each orientation of EXIF.
TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (3, False), 7: (3, True), 8: (1, False)}
END_OF_IMAGE = b"\xff\xd9"


def decode_jpeg(
    data: bytes, size: tuple[int, int], side: int, channels: int, *, orientation: int = 1
) -> NDArray[np.uint8] | None:
    """Pixels (side, side, channels) of a JPEG of ``size`` (width, height), upright, centred on black.

    The inverse cosine transform is computed at the smallest of 1/8, 1/4, 1/2 and 1 that still covers the result; what
    is left, a factor below two except for very large images, is interpolated. ``None`` for data that does not end as a
    JPEG should or that OpenCV gives up on: it would fill what is missing with gray and not say so.
    """
    if not data.endswith(END_OF_IMAGE):
        return None
    longest = max(size)
    factor, gray, color = next(row for row in REDUCED if row[0] == 1 or longest >= row[0] * side)
    flags = (gray if channels == 1 else color) | cv2.IMREAD_IGNORE_ORIENTATION
    found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    if found is None:
        return None
    width, height = (max(1, round(length * side / longest)) for length in size)
    if found.shape[:2] != (height, width):
        smooth = cv2.INTER_AREA if longest > 2 * factor * side else cv2.INTER_LINEAR
        found = cv2.resize(found, (width, height), interpolation=smooth)
    if channels == 3:
        found = cv2.cvtColor(found, cv2.COLOR_BGR2RGB)
    quarters, mirrored = TURNS.get(orientation, (0, False))
    upright = np.rot90(found[:, ::-1] if mirrored else found, quarters)
    out = np.zeros((side, side, channels), dtype=np.uint8)
    top, left = (round((side - length) / 2) for length in upright.shape[:2])
    out[top : top + upright.shape[0], left : left + upright.shape[1]] = upright.reshape(*upright.shape[:2], channels)
    return out
