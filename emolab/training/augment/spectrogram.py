"""Augmentation of sounds on their spectrograms: time, pitch, loudness, and masks; a few percent of a training step."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emolab.training.augment import Augment
from emolab.training.runs.recipes import Plan

#: At strength 1: shift in time as a share of the width; logarithm of the tempo; shift of pitch as a share of the bands;
#: contrast and level of the values of a byte; the widest masks over time and bands, as shares; noise of a byte.
SHIFT, TEMPO, PITCH, CONTRAST, LEVEL = 0.15, 0.12, 0.05, 0.15, 12.0
MASKED_TIME, MASKED_BANDS, MASKS = 0.12, 0.15, 2
NOISE = 6.0


def build(plan: Plan) -> Augment:
    """Shift, tempo, pitch, level, noise, and masks over time and bands.

    Masks: Park et al. 2019, "SpecAugment". What a sound is moved away from is filled with silence, which is 0.
    """
    s = plan.strength

    def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        n, height, width = images.shape[:3]

        def draw(reach: float) -> NDArray[np.float64]:
            return rng.uniform(-reach, reach, (n,)) * s

        tempo, shift, pitch = np.exp(draw(TEMPO)), draw(SHIFT) * width, draw(PITCH) * height
        contrast, level = np.exp(draw(CONTRAST)), draw(LEVEL)
        noise = rng.normal(size=images.shape).astype(np.float32) * (rng.uniform(0, NOISE, (n, 1, 1, 1)) * s)
        masks = rng.random((n, MASKS, 4))
        out = np.empty_like(images)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        try:
            for i in range(n):
                middle = (width - 1) / 2
                move = np.array([[tempo[i], 0, middle * (1 - tempo[i]) + shift[i]], [0, 1, pitch[i]]])
                moved = cv2.warpAffine(images[i], move, (width, height), flags=cv2.INTER_LINEAR, borderValue=0)
                values = moved.reshape(images.shape[1:]).astype(np.float32)
                heard = values > 0
                values = (values - 127.5) * contrast[i] + 127.5 + level[i] + noise[i]
                out[i] = np.where(heard, np.clip(values, 1, 255), 0).astype(np.uint8)
                _mask(out[i], masks[i], s)
        finally:
            cv2.setNumThreads(threads)
        return out

    return augment


def _mask(image: NDArray[np.uint8], draws: NDArray[np.float64], strength: float) -> None:
    """Silence up to :data:`MASKS` stretches of time and as many of bands, in place; ``draws`` (masks, 4) of 0..1."""
    height, width = image.shape[:2]
    for wide, left, high, top in draws:
        columns = int(wide * min(1.0, MASKED_TIME * strength) * width)
        rows = int(high * min(1.0, MASKED_BANDS * strength) * height)
        start, first = int(left * (width - columns + 1)), int(top * (height - rows + 1))
        image[:, start : start + columns] = 0
        image[first : first + rows] = 0
