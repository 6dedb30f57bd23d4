"""A backbone that has nothing to learn: histograms of oriented gradients, for a project's first hundred labels.

A network trained from scratch on a few dozen faces learns next to nothing. Edges by place and direction are a fair
description of an aligned face, cost a fraction of a millisecond, need no download, and leave only the head to train.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emolab.errors import ConfigError, DataError

CELL, BINS = 6, 9
#: Largest value of a normalised block before it is normalised again.
CLIP = 0.2


class Hog(nn.Module):
    """(n, 3, h, w) -> (n, (h / 6 - 1) * (w / 6 - 1) * 36): Dalal and Triggs 2005, with unsigned directions.

    Gradients of the mean colour vote, by their strength, for the two nearest of nine directions in cells of 6 x 6
    pixels; blocks of 2 x 2 cells are normalised, clipped at 0.2 and normalised again. A wider picture, such as that of
    a clip, is the mean of the squares side by side: (n, 3, h, k h) gives as many features as (n, 3, h, h).
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        step = torch.tensor([[0.0, 0.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
        self.register_buffer("kernel", torch.stack([step, step.T])[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d), float32."""
        height, width = x.shape[2:]
        if width > height and width % height == 0:
            return torch.stack([self._square(part) for part in x.chunk(width // height, dim=3)]).mean(dim=0)
        return self._square(x)

    def _square(self, x: Tensor) -> Tensor:
        gray = functional.pad(x.float().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        across, down = functional.conv2d(gray, self.kernel).unbind(dim=1)
        strength = torch.sqrt(across**2 + down**2 + 1e-12)
        place = torch.remainder(torch.atan2(down, across), math.pi) * (BINS / math.pi)
        lower = torch.floor(place)
        share = place - lower
        first = functional.one_hot(lower.long() % BINS, BINS)
        second = functional.one_hot((lower.long() + 1) % BINS, BINS)
        votes = (first * (1 - share)[..., None] + second * share[..., None]) * strength[..., None]
        cells = functional.avg_pool2d(votes.permute(0, 3, 1, 2), CELL)
        blocks = functional.unfold(cells, 2)  # (n, 4 * BINS, places)
        blocks = functional.normalize(blocks, dim=1, eps=1e-3).clamp(max=CLIP)
        return functional.normalize(blocks, dim=1, eps=1e-3).flatten(1)


def build(name: str, weights: str, *, size: int) -> nn.Module:  # noqa: ARG001
    """The fixed features called ``hog``; there are no weights to load."""
    if weights not in ("default", "none"):
        raise ConfigError(f"hog has no weights, so training.weights = {weights} cannot be loaded.", hint="Use none.")
    if size < 2 * CELL:
        raise DataError(f"hog needs at least {2 * CELL} pixels per side, got {size}.")
    return Hog()
