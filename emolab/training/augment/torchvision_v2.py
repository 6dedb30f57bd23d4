"""Augmentation by torchvision's v2 transforms."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emolab.training.augment import Augment
from emolab.training.runs.recipes import Plan

#: Images that share one draw of rotation, shift, zoom, light and erasing. v2 draws once per call and a call costs
#: more than the work on a small face: groups of four cost less than half of single images at 48 pixels.
GROUP = 4


def build(plan: Plan) -> Augment:
    """Mirror (per image), rotation up to 12 degrees, shift, zoom, brightness, contrast and erasing (per group)."""
    from torchvision.transforms import InterpolationMode, v2

    s = plan.strength
    moves = v2.Compose(
        [
            v2.RandomAffine(
                degrees=12 * s,
                translate=(min(0.5, 0.07 * s), min(0.5, 0.07 * s)),
                scale=(max(0.2, 1 - 0.1 * s), 1 + 0.1 * s),
                interpolation=InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(brightness=min(0.9, 0.25 * s), contrast=min(0.9, 0.25 * s)),
            v2.RandomErasing(p=min(1.0, 0.25 * s), scale=(0.02, 0.12), ratio=(0.5, 2.0)),
        ]
    )

    def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        mirrored = rng.random(len(images)) < 0.5
        images = images.copy()
        images[mirrored] = images[mirrored, :, ::-1]
        batch = torch.from_numpy(images).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):  # v2 draws from torch's global generator, for images on the CPU
            torch.default_generator.manual_seed(int(rng.integers(2**62)))
            parts: list[Tensor] = [moves(part) for part in torch.split(batch, GROUP)]
        changed: NDArray[np.uint8] = torch.cat(parts).permute(0, 2, 3, 1).contiguous().numpy()
        return changed

    return augment
