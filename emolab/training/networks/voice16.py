"""emolab's own network for voices at 16 kHz: a small residual network for their spectrograms."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from emolab.errors import DataError
from emolab.training.checkpoint import WEIGHTS
from emolab.training.networks import bundled
from emolab.training.networks.blocks import draw_weights, stages
from emolab.training.networks.face48 import shortcut

STEM, WIDTHS = 16, (24, 48, 96, 128)
#: Mean and spread of the values of spectrograms as networks see them, of 0..1.
NORMALISATION = ((0.2,), (0.25,))


class Voice16(nn.Module):
    """A stem and four stages of two blocks, each halving the spectrogram: (n, 1 or 3, bands, frames) -> (n, 256).

    Features are the mean over bands and time, and the standard deviation over time of the means over bands: how much a
    voice moves tells as much as how it is (Snyder et al. 2018, "X-vectors", section 2: statistics pooling).
    """

    normalisation = NORMALISATION

    def __init__(self) -> None:
        super().__init__()
        self.layers = stages(STEM, WIDTHS, first=2, shortcut=shortcut)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Statistics of the feature map over time."""
        gray = x if x.shape[1] == 1 else x.mean(dim=1, keepdim=True)
        over_time = cast(Tensor, self.layers(gray)).mean(dim=2)
        mean = over_time.mean(dim=2)
        spread = ((over_time - mean.unsqueeze(2)).square().mean(dim=2) + 1e-5).sqrt()
        return torch.cat([mean, spread], dim=1)


def build(name: str, weights: str, *, size: int) -> nn.Module:
    """The network called ``voice16``: ``default`` weights are the bundled ones, ``none`` random, else a file's.

    In a package without its weights ``default`` is random too.
    """
    from emolab.training.networks.weights import load_into, read

    if size < 32:
        raise DataError(f"voice16 halves the spectrogram five times and needs at least 32 bands, got {size}.")
    module = Voice16()
    if weights == "none" or (weights == "default" and bundled.is_missing(name)):
        return module
    if weights == "default":
        load_into(module, read(bundled.ROOT / name / WEIGHTS), source="the bundled weights of voice16")
    else:
        module.mismatches = load_into(module, read(weights), source=weights)  # type: ignore[assignment]
    return module
