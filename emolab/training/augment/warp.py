"""Augmentation in one pass over the pixels: a single warp and a single look-up table for every image.

Mirroring, rotation, shift, zoom, stretch and shear are one affine map, so the image is sampled once and blurred once at
most; brightness and contrast are one table of 256 entries. Every image has draws of its own.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emolab.training.augment import Augment, reflect
from emolab.training.runs.recipes import Plan

#: Ranges at strength 1: degrees, shift as a share of the side, then logarithms of zoom, stretch and contrast, shear,
#: brightness in grey levels, the side of an erased patch as a share of the image's.
ROTATE, SHIFT, ZOOM, STRETCH, CONTRAST, SHEAR, LIGHT = 15.0, 0.08, 0.15, 0.08, 0.3, 0.1, 25.0
PATCH = (0.12, 0.35)
ERASED, BLURRED = 0.5, 0.1
#: Where contrast turns: the middle of the range of a byte.
MIDDLE = 127.5


def build(plan: Plan) -> Augment:
    """Mirror, rotation, shift, zoom, stretch, shear, light, contrast, and now and then blur or an erased patch."""
    s = plan.strength

    def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return distort(images, affine_maps(rng, len(images), images.shape[1:3], strength=s), rng, strength=s)

    return augment


def distort(
    images: NDArray[np.uint8], maps: NDArray[np.float64], rng: np.random.Generator, *, strength: float
) -> NDArray[np.uint8]:
    """``images`` (b, h, w, c) moved by ``maps`` (b, 2, 3), relit, and now and then blurred or erased in part."""
    n = len(images)
    tables = light_tables(rng, n, strength=strength)
    blurred: NDArray[np.bool_] = np.less(rng.random(n), min(1.0, BLURRED * strength))
    erased = np.flatnonzero(np.less(rng.random(n), min(1.0, ERASED * strength)))
    out = np.empty_like(images)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)  # a face is too small to share between threads
    try:
        reflect.warp(images, maps, out)
        for i in range(n):
            one = out[i]
            cv2.LUT(one, tables[i], dst=one)
            if blurred[i]:
                cv2.GaussianBlur(one, (3, 3), 0, dst=one)
    finally:
        cv2.setNumThreads(threads)
    _erase(out, erased, rng)
    return out


def affine_maps(
    rng: np.random.Generator, n: int, shape: tuple[int, int], *, strength: float = 1.0
) -> NDArray[np.float64]:
    """Maps (n, 2, 3) from a source pixel (x, y, 1) to its place in the result, about the centre of ``shape`` (h, w)."""
    height, width = shape

    def draw(reach: float) -> NDArray[np.float64]:
        return rng.uniform(-reach, reach, n) * strength

    angle, zoom, stretch, shear = np.deg2rad(draw(ROTATE)), np.exp(draw(ZOOM)), np.exp(draw(STRETCH)), draw(SHEAR)
    across, down = draw(SHIFT) * width, draw(SHIFT) * height
    mirror = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    maps = np.empty((n, 2, 3))
    wide, high = zoom * stretch * mirror, zoom / stretch
    maps[:, 0, 0], maps[:, 1, 0] = cos * wide, sin * wide
    maps[:, 0, 1], maps[:, 1, 1] = cos * shear - sin * high, sin * shear + cos * high
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    maps[:, :, 2] = centre + np.stack([across, down], axis=1) - maps[:, :, :2] @ centre
    return maps


def light_tables(rng: np.random.Generator, n: int, *, strength: float = 1.0) -> NDArray[np.uint8]:
    """Look-up tables (n, 256) of contrast about the middle grey and brightness."""
    contrast = np.exp(rng.uniform(-CONTRAST, CONTRAST, (n, 1)) * strength)
    light = rng.uniform(-LIGHT, LIGHT, (n, 1)) * strength
    ramp = np.arange(256, dtype=np.float64)[None]
    tables: NDArray[np.uint8] = np.clip((ramp - MIDDLE) * contrast + MIDDLE + light + 0.5, 0, 255).astype(np.uint8)
    return tables


def _erase(images: NDArray[np.uint8], chosen: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Fill a rectangle of each image at ``chosen`` with one grey, in place (Zhong et al. 2020, "Random erasing")."""
    height, width = images.shape[1:3]
    sides = rng.uniform(*PATCH, (len(chosen), 2))
    places, greys = rng.random((len(chosen), 2)), rng.integers(0, 256, len(chosen))
    for i, side, place, grey in zip(chosen.tolist(), sides, places, greys.tolist(), strict=True):
        h, w = max(1, int(side[0] * height)), max(1, int(side[1] * width))
        top, left = int(place[0] * (height - h + 1)), int(place[1] * (width - w + 1))
        images[i, top : top + h, left : left + w] = grey
