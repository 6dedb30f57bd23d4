"""How usable an image is, in a few numbers, and a fingerprint that survives resizing and recompression."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

#: Longer side, in pixels, at which an image is judged: about what a network sees of it.
WORKING_SIZE = 224

#: Variance of the Laplacian, in squared grey levels, at which an image counts as half blurred.
HALF_BLURRED = 100.0

_LEVELS = np.arange(256, dtype=np.float64)


def gray_thumbnail(image: Image.Image) -> Image.Image:
    """``image`` in grey with its longer side reduced to at most :data:`WORKING_SIZE`."""
    gray = image if image.mode == "L" else image.convert("L")
    scale = WORKING_SIZE / max(gray.size)
    if scale >= 1:
        return gray
    from PIL.Image import Resampling

    return gray.resize((max(1, round(gray.width * scale)), max(1, round(gray.height * scale))), Resampling.BOX)


def measure(gray: Image.Image, *, size: tuple[int, int]) -> dict[str, float]:
    """Quality of the image that ``gray`` (see :func:`gray_thumbnail`) was made of; ``size`` is its width and height.

    ``size``: shorter side in pixels; ``brightness`` and ``contrast``: mean and standard deviation of grey, in 0..1;
    ``blur``: 0 sharp .. 1 blurred, ``1 / (1 + v / 100)`` with the variance ``v`` of the Laplacian (Pech-Pacheco et
    al. 2000), for which 100 is the threshold in common use.
    """
    counts = np.array(gray.histogram(), dtype=np.float64)
    n = gray.width * gray.height
    mean = float(counts @ _LEVELS) / n
    spread = float(counts @ (_LEVELS - mean) ** 2 / n) ** 0.5
    return {
        "size": float(min(size)),
        "brightness": round(mean / 255, 4),
        "contrast": round(spread / 255, 4),
        "blur": round(1 / (1 + _laplacian_variance(np.asarray(gray)) / HALF_BLURRED), 4),
    }


def perceptual_hash(gray: Image.Image) -> int:
    """64 bits that change little when an image is resized, recompressed or brightened.

    Reduce to 32 x 32, take the cosine transform, compare its 8 x 8 lowest frequencies with their median (pHash,
    Zauner 2010). The number of differing bits says how far apart two images are; 0 to 4 is nearly always the same
    picture.
    """
    from PIL.Image import Resampling

    small = np.asarray(gray.resize((32, 32), Resampling.BOX), dtype=np.float32)
    basis = _cosines()
    low = (basis @ small @ basis.T).ravel()
    bits = low > np.partition(low[1:], 31)[31]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _laplacian_variance(pixels: NDArray[np.uint8]) -> float:
    if min(pixels.shape) < 3:
        return 0.0
    p = pixels.astype(np.int16)
    edges = p[1:-1, :-2] + p[1:-1, 2:]
    edges += p[:-2, 1:-1]
    edges += p[2:, 1:-1]
    edges -= p[1:-1, 1:-1] << 2
    flat = edges.ravel().astype(np.float32)
    mean = float(flat.sum()) / flat.size
    return max(0.0, float(flat @ flat) / flat.size - mean * mean)


@cache
def _cosines() -> NDArray[np.float32]:
    n = np.arange(32)
    return np.cos(np.pi * (2 * n[None, :] + 1) * np.arange(8)[:, None] / 64).astype(np.float32)
