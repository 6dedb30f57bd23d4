"""A decoded frame of a video as a player shows it: its pixels made square, turned or mirrored as the file says."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from PIL.Image import Transpose

if TYPE_CHECKING:
    from PIL import Image

#: What a display matrix of right angles does: where it moves a step to the right and a step down.
_TURNS = {
    (-1, 0, 0, 1): Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Transpose.ROTATE_180,
    (0, 1, -1, 0): Transpose.ROTATE_270,
    (0, -1, 1, 0): Transpose.ROTATE_90,
    (0, 1, 1, 0): Transpose.TRANSPOSE,
    (0, -1, -1, 0): Transpose.TRANSVERSE,
}
#: Pixels beyond this ratio of width to height are not believed; those of film and television stay below 4.
_WIDEST = 8


def shown(frame: Any, ratio: Fraction) -> Image.Image:
    """``frame`` as a player shows it: its pixels ``ratio`` times as wide as high, then turned or mirrored."""
    from PIL.Image import Resampling

    image: Image.Image = frame.to_image()
    if ratio != 1:  # stretched, never shrunk: nothing is lost
        width, height = image.size
        size = (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))
        image = image.resize(size, Resampling.BICUBIC)
    matrix = next((bytes(part) for part in frame.side_data if part.type.name == "DISPLAYMATRIX"), None)
    return image if matrix is None else _turned(image, matrix)


def _turned(image: Image.Image, matrix: bytes) -> Image.Image:
    """``image`` moved by a display matrix: nine 32-bit numbers, of which 0, 1, 3, 4 say where right and down go."""
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    right, down = math.hypot(a, b), math.hypot(c, d)
    if not right or not down:
        return image  # no picture is left of it; players ignore such a matrix
    exact = (a / right, b / right, c / down, d / down)
    whole = tuple(round(v) for v in exact)
    if max(abs(v - w) for v, w in zip(exact, whole, strict=True)) < 0.02:
        turn = _TURNS.get(whole)
        return image if turn is None else image.transpose(turn)
    if a * d < b * c:  # mirrored: first left to right, then the rest is a rotation
        image, a, b = image.transpose(Transpose.FLIP_LEFT_RIGHT), -a, -b
    return image.rotate(-math.degrees(math.atan2(b, a)), expand=True)


def pixel_ratio(stream: Any, notes: list[str]) -> Fraction:
    """How many times as wide as high the pixels of ``stream`` are shown."""
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    if 1 / _WIDEST <= ratio <= _WIDEST:
        return ratio
    notes.append(f"its pixels are said to be {float(ratio):.3g} times as wide as high; taken as square")
    return Fraction(1)
