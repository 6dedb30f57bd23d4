"""What an image looks like in 32 x 32 grey pixels, by which copies are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

#: Pixels along each side of a look, whatever the shape of the image.
SIDE = 32


def look(image: Image.Image) -> NDArray[np.uint8]:
    """``image`` as a look: (SIDE, SIDE)."""
    from PIL.Image import Resampling

    gray = image if image.mode == "L" else image.convert("L")
    return np.asarray(gray.resize((SIDE, SIDE), Resampling.BILINEAR, reducing_gap=2.0))
