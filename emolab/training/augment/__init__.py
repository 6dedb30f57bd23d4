"""Augmentation: one library per file. A plugin is ``(plan) -> callable(images, rng) -> images``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emolab.plugins import AUGMENTATIONS
from emolab.training.runs.recipes import Plan

#: (b, size, size, channels) uint8 and a generator in, the same shape and type out.
Augment = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def load(plan: Plan) -> Augment:
    """The augmentation ``plan`` asks for; ``none`` or strength 0 leaves images as they are."""
    if plan.augmentation == "none" or plan.strength == 0:
        return _unchanged
    augment: Augment = AUGMENTATIONS.load(plan.augmentation)(plan)
    return augment


def _unchanged(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:  # noqa: ARG001
    return images
