"""How usable an image is, in a few numbers, and a fingerprint that survives resizing and recompression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.catalog.storage.chunks import chunks
from emolab.modalities.image.look import cosines, look

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

#: Longer side, in pixels, at which an image is judged: about what a network sees of it.
WORKING_SIZE = 224

#: Variance of the Laplacian, in squared grey levels, at which an image counts as half blurred.
HALF_BLURRED = 100.0


def gray_thumbnail(image: Image.Image) -> Image.Image:
    """``image`` in grey with its longer side reduced to at most :data:`WORKING_SIZE`."""
    gray = image if image.mode == "L" else image.convert("L")
    scale = WORKING_SIZE / max(gray.size)
    if scale >= 1:
        return gray
    from PIL.Image import Resampling

    return gray.resize((max(1, round(gray.width * scale)), max(1, round(gray.height * scale))), Resampling.BOX)


def extrema(gray: Image.Image) -> list[tuple[float, float]]:
    """The darkest and the lightest level of ``gray``, as the one channel that it has."""
    low, high = gray.getextrema()
    return [(float(low), float(high))]  # type: ignore[arg-type]


#: Pixels measured in one go: what is in work must stay in the processor's cache.
TOGETHER = 1 << 15


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """What one image is like: ``quality`` as :func:`measure` describes it, ``phash`` as :func:`perceptual_hash`, and
    its ``look`` (side, side), by which copies are found."""

    quality: dict[str, float]
    phash: int
    look: NDArray[np.uint8]


def judge(grays: Sequence[Image.Image], sizes: Sequence[tuple[int, int]]) -> list[ImageQuality]:
    """:func:`measure` and :func:`perceptual_hash` of many images, for which small ones cost a third of one by one.

    ``grays`` are thumbnails (see :func:`gray_thumbnail`) of images with these ``sizes``.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for i, gray in enumerate(grays):
        places.setdefault(gray.size, []).append(i)
    found: dict[int, tuple[float, float, float]] = {}
    for (width, height), rows in places.items():
        for part in chunks(rows, max(1, TOGETHER // (width * height))):
            pixels = np.frombuffer(b"".join([grays[i].tobytes() for i in part]), dtype=np.uint8)
            found.update(zip(part, _looks(pixels.reshape(len(part), height, width)), strict=True))
    verdicts = []
    for i, (size, phash) in enumerate(zip(sizes, _hashes(grays), strict=True)):
        mean, spread, variance = found[i]
        quality = {
            "size": float(min(size)),
            "brightness": round(mean / 255, 4),
            "contrast": round(spread / 255, 4),
            "blur": round(1 / (1 + variance / HALF_BLURRED), 4),
        }
        verdicts.append(ImageQuality(quality, phash, look(grays[i])))
    return verdicts


def measure(gray: Image.Image, *, size: tuple[int, int]) -> dict[str, float]:
    """Quality of the image that ``gray`` (see :func:`gray_thumbnail`) was made of; ``size`` is its width and height.

    ``size``: shorter side in pixels; ``brightness`` and ``contrast``: mean and standard deviation of grey, in 0..1;
    ``blur``: 0 sharp .. 1 blurred, ``1 / (1 + v / 100)`` with the variance ``v`` of the Laplacian (Pech-Pacheco et
    al. 2000), for which 100 is the threshold in common use.
    """
    return judge([gray], [size])[0].quality


def perceptual_hash(gray: Image.Image) -> int:
    """64 bits that change little when an image is resized, recompressed or brightened.

    Reduce to 32 x 32, take the cosine transform, compare its 8 x 8 lowest frequencies with their median (pHash,
    Zauner 2010). The number of differing bits says how far apart two images are; 0 to 4 is nearly always the same
    picture.
    """
    return _hashes([gray])[0]


def _hashes(grays: Sequence[Image.Image]) -> list[int]:
    from PIL.Image import Resampling

    small = b"".join([gray.resize((32, 32), Resampling.BOX).tobytes() for gray in grays])
    pixels = np.frombuffer(small, dtype=np.uint8).reshape(len(grays), 32, 32).astype(np.float32)
    basis = cosines()
    low = (basis @ pixels @ basis.T).reshape(len(grays), 64)
    bits = low > np.partition(low[:, 1:], 31, axis=1)[:, 31:32]
    found: list[int] = np.packbits(bits, axis=1).view(">u8").ravel().tolist()
    return found


def _looks(pixels: NDArray[np.uint8]) -> Iterator[tuple[float, float, float]]:
    """Mean, standard deviation and variance of the Laplacian of each of (n, height, width) ``pixels``."""
    flat = pixels.reshape(len(pixels), -1)
    size = flat.shape[1]
    sums = flat.sum(axis=1, dtype=np.int64).tolist()
    wide = flat.astype(np.uint16)
    squares = np.multiply(wide, wide, out=wide).sum(axis=1, dtype=np.int64).tolist()
    for total, square, variance in zip(sums, squares, _laplacian_variances(pixels), strict=True):
        yield total / size, (size * square - total * total) ** 0.5 / size, variance


def _laplacian_variances(pixels: NDArray[np.uint8]) -> list[float]:
    if min(pixels.shape[1:]) < 3:
        return [0.0] * len(pixels)
    p = pixels.astype(np.int16)
    edges = p[:, 1:-1, :-2] + p[:, 1:-1, 2:]
    edges += p[:, :-2, 1:-1]
    edges += p[:, 2:, 1:-1]
    edges -= p[:, 1:-1, 1:-1] << 2
    flat = edges.reshape(len(pixels), -1).astype(np.float32)
    n = flat.shape[1]
    return [
        max(0.0, float(row @ row) / n - mean * mean)
        for row, mean in zip(flat, (flat.sum(axis=1).astype(np.float64) / n).tolist(), strict=True)
    ]
