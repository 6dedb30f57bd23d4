"""emolab's own network for faces of 48 pixels: small enough to come with the package, trained by emolab itself."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from emolab.errors import DataError
from emolab.training.checkpoint import WEIGHTS
from emolab.training.networks import bundled
from emolab.training.networks.blocks import draw_weights, stages

STEM, WIDTHS = 32, (48, 96, 184)
#: Mean and spread of the pixels of FER2013's training images, of 0..1.
NORMALISATION = ((0.508,), (0.255,))


def shortcut(inside: int, outside: int, stride: int) -> nn.Module:
    """Averages where the block halves the image (ResNet-D).

    He et al. 2019, "Bag of tricks for image classification with convolutional neural networks", figure 2c.
    """
    return nn.Sequential(
        nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(inside, outside, 1, bias=False),
        nn.BatchNorm2d(outside),
    )


class Face48(nn.Module):
    """A stem at full resolution, then three halving stages of two blocks: (n, 1 or 3, h, w) -> (n, 184).

    Most of the work happens at 24 pixels and below, where convolutions keep a processor busy; colour is averaged away.
    """

    normalisation = NORMALISATION

    def __init__(self) -> None:
        super().__init__()
        self.layers = stages(STEM, WIDTHS, first=1, shortcut=shortcut)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Features averaged over the image."""
        gray = x if x.shape[1] == 1 else x.mean(dim=1, keepdim=True)
        return cast(Tensor, self.layers(gray).mean(dim=(2, 3)))


def build(name: str, weights: str, *, size: int) -> nn.Module:
    """The network called ``face48``: ``default`` weights are the bundled ones, ``none`` random, else a file's."""
    from emolab.training.networks.weights import load_into, read

    if size < 8:
        raise DataError(f"face48 halves the image three times and needs at least 8 pixels per side, got {size}.")
    module = Face48()
    if weights == "default":
        load_into(module, read(bundled.ROOT / name / WEIGHTS), source="the bundled weights of face48")
    elif weights != "none":
        module.mismatches = load_into(module, read(weights), source=weights)  # type: ignore[assignment]
    return module
