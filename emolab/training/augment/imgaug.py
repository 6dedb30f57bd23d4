"""Augmentation by imgaug: every image gets its own draw."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from emolab.training.augment import Augment
from emolab.training.augment.compat import import_augmenters
from emolab.training.runs.recipes import Plan


def build(plan: Plan) -> Augment:
    """Mirror, rotation, shift, zoom, light, contrast, and now and then blur, noise or a missing patch."""
    iaa = import_augmenters()
    s = plan.strength
    shift = 0.07 * s
    sequence = iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.Affine(
                rotate=(-12 * s, 12 * s),
                translate_percent={"x": (-shift, shift), "y": (-shift, shift)},
                scale=(max(0.2, 1 - 0.1 * s), 1 + 0.1 * s),
            ),
            iaa.Multiply((max(0.1, 1 - 0.2 * s), 1 + 0.2 * s)),
            iaa.LinearContrast((max(0.1, 1 - 0.2 * s), 1 + 0.2 * s)),
            iaa.Sometimes(min(1.0, 0.15 * s), iaa.GaussianBlur(sigma=(0.3, 0.9))),
            iaa.Sometimes(min(1.0, 0.15 * s), iaa.AdditiveGaussianNoise(scale=(0, 8.0 * s))),
            iaa.Sometimes(min(1.0, 0.25 * s), iaa.Cutout(nb_iterations=1, size=0.2, squared=False, cval=128)),
        ]
    )

    def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        sequence.seed_(int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            changed: NDArray[np.uint8] = np.ascontiguousarray(sequence(images=images), dtype=np.uint8)
        return changed

    return augment
