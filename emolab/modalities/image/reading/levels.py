"""Gray of more than 8 bits as 8 bits, for cameras of 10, 12 and 14 bits, for fractions and for values of any range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.modalities.image.reading.unreadable import NOTHING, Unreadable

#: What white may be: 1 for fractions, else the largest value of so many bits.
WHITES = (1, 255, 1023, 4095, 16383, 65535)
#: Values up to this one are stretched: as 8 bits they would be nearly black.
FEW = 32
#: TIFF's tag that says whether 0 is white, with the value that says so.
_PHOTOMETRIC = 262
WHITE_IS_ZERO = {_PHOTOMETRIC: 0}


def eight_bits(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """``image``, gray of mode I, I;16 or F, as L; and notes about what had to be guessed.

    Black is 0, white the smallest of ``WHITES`` that no value exceeds. The values' own range is stretched from black
    to white where some are below 0, where the highest is above 1 but at most ``FEW``, or above all ``WHITES``. What is
    no finite number becomes black; a value that the file declares transparent becomes white. Raises
    :class:`Unreadable` where nothing is left to see.
    """
    values = np.asarray(image, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        raise Unreadable(NOTHING, "every pixel is NaN or infinite")
    clear = values == image.info["transparency"] if isinstance(image.info.get("transparency"), int) else None
    if clear is not None and clear.all():
        raise Unreadable(NOTHING, "every pixel is transparent")
    low, high = min(0.0, float(values[finite].min())), float(values[finite].max()) or 0.0  # never -0
    white = white_of(low, high)
    notes = [] if _as_declared(image.mode, low, high, white) else [_note(low, high, white)]
    shares = (np.where(finite, values, np.float32(low)) - np.float32(low)) * np.float32(255 / ((white - low) or 1))
    levels: NDArray[np.uint8] = shares.clip(0, 255).round().astype(np.uint8)
    if white_is_zero(image):
        levels = 255 - levels
    if not finite.all():
        levels[~finite] = 0
        odd = values.size - int(finite.sum())
        notes.append(f"{odd:,} of its {values.size:,} pixels are NaN or infinite, taken as black")
    if clear is not None:
        levels[clear] = 255
    return Image.fromarray(levels), notes


def white_is_zero(image: Image.Image) -> bool:
    """Whether the file of an ``image`` of more than 8 bits says that 0 is white; of others Pillow turns the values."""
    tags = getattr(image, "tag_v2", {})
    return image.mode.startswith(("I", "F")) and tags.get(_PHOTOMETRIC) == WHITE_IS_ZERO[_PHOTOMETRIC]


def white_of(low: float, high: float) -> float:
    """The value that becomes white, of values from ``low`` (0 or below) to ``high``.

    >>> [white_of(0, high) for high in (0.7, 200, 900, 4000, 40000, 4.5, 100000)]
    [1, 255, 1023, 4095, 65535, 4.5, 100000]
    >>> white_of(-1, 0.9)
    0.9
    """
    if low < 0 or 1 < high <= FEW:
        return high
    return next((white for white in WHITES if high <= white), high)


def _as_declared(mode: str, low: float, high: float, white: float) -> bool:
    """Whether black and white are what such a file usually means, so that there is nothing to say."""
    usual = (1, 255, 65535) if mode in ("I", "F") else (65535,)
    return low == 0 and (white in usual or high == 0)


def _note(low: float, high: float, white: float) -> str:
    bits = {255.0: 8, 1023.0: 10, 4095.0: 12, 16383.0: 14}.get(white) if low == 0 else None
    if bits:
        return f"its highest value is {high:,g}; taken as {bits} bits"
    return f"its values lie between {low:,g} and {high:,g}, stretched from black to white"
