"""Which samples form a batch, as a pure function of seed, epoch and step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emolab.training.inputs.pixel_cache import Pixels

# First words of the seeds, so that order and augmentation never share a stream.
ORDER, STEP = 11, 12


def count(n: int, size: int) -> int:
    """How many batches ``n`` samples make: of about ``size``, none with a single sample (batch norm needs two)."""
    return max(1, min(round(n / size + 0.49), n // 2))


def epoch_batches(n: int, size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The n positions, shuffled, cut into :func:`count` batches whose sizes differ by one at most."""
    order = np.random.default_rng([ORDER, seed, epoch]).permutation(n)
    return [part.astype(np.int64) for part in np.array_split(order, count(n, size))]


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The generator of everything random in one step: augmentation and, through torch, dropout."""
    return np.random.default_rng([STEP, seed, step])


def as_images(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(b, h, w, c) bytes as a (b, c, h, w) tensor on ``device``, channels last in memory."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)


def in_order(pixels: Pixels, size: int = 256) -> list[NDArray[np.int64]]:
    """All positions of ``pixels`` in order, ``size`` at a time."""
    n = len(pixels)
    return [np.arange(start, min(n, start + size), dtype=np.int64) for start in range(0, n, size)]
