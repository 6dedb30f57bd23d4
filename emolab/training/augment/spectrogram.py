"""Augmentation of sounds on their spectrograms: place in time, loudness, noise and masks.

A change of tempo or of pitch is not among them: it cost recall (`python -m benchmarks.voice_augmentation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emolab.training.augment import Augment
from emolab.training.runs.recipes import Plan

#: Masks over time, and as many over bands.
MASKS = 2


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far each part goes at strength 1; 0 leaves it out.

    ``shift`` in time as a share of the width; ``contrast`` as a logarithm, ``level`` and ``noise`` in values of a byte;
    the widest masks over time and bands as shares.
    """

    shift: float = 0.15
    contrast: float = 0.15
    level: float = 12.0
    noise: float = 6.0
    masked_time: float = 0.12
    masked_bands: float = 0.15


def build(plan: Plan) -> Augment:
    """Shift in time, contrast, level, noise, and masks over time and bands."""
    return spectrogram(Reach(), plan.strength)


def spectrogram(reach: Reach, strength: float) -> Augment:
    """The parts that ``reach`` has, each ``strength`` times as far.

    Masks: Park et al. 2019, "SpecAugment". What a sound is moved away from is filled with silence, which is 0.
    """
    s = strength

    def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        n, height, width = images.shape[:3]

        def draw(far: float) -> NDArray[np.float64]:
            return rng.uniform(-1, 1, (n,)) * (far * s)

        shift = draw(reach.shift) * width
        contrast, level = np.exp(draw(reach.contrast)), draw(reach.level)
        noise = rng.normal(size=images.shape).astype(np.float32) * (rng.random((n, 1, 1, 1)) * (reach.noise * s))
        masks = rng.random((n, MASKS, 4))
        out = np.empty_like(images)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        try:
            for i in range(n):
                move = np.array([[1, 0, shift[i]], [0, 1, 0]])
                moved = cv2.warpAffine(images[i], move, (width, height), flags=cv2.INTER_LINEAR, borderValue=0)
                values = moved.reshape(images.shape[1:]).astype(np.float32)
                heard = values > 0
                values = (values - 127.5) * contrast[i] + 127.5 + level[i] + noise[i]
                out[i] = np.where(heard, np.clip(values, 1, 255), 0).astype(np.uint8)
                _mask(out[i], masks[i], reach, s)
        finally:
            cv2.setNumThreads(threads)
        return out

    return augment


def _mask(image: NDArray[np.uint8], draws: NDArray[np.float64], reach: Reach, strength: float) -> None:
    """Silence up to :data:`MASKS` stretches of time and as many of bands, in place; ``draws`` (masks, 4) of 0..1."""
    height, width = image.shape[:2]
    for wide, left, high, top in draws:
        columns = int(wide * min(1.0, reach.masked_time * strength) * width)
        rows = int(high * min(1.0, reach.masked_bands * strength) * height)
        start, first = int(left * (width - columns + 1)), int(top * (height - rows + 1))
        image[:, start : start + columns] = 0
        image[first : first + rows] = 0
