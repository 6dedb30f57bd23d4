"""The built-in backbone: a small residual network for small faces, trained from scratch."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from emolab.errors import DataError
from emolab.training.networks.blocks import Block, draw_weights

WIDTHS = (16, 32, 64, 128)


def shortcut(inside: int, outside: int, stride: int) -> nn.Module:
    """Takes one of ``stride`` x ``stride`` pixels where the block reduces the image."""
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))


class Tiny(nn.Module):
    """Four stages of two blocks, 16 to 128 channels, 0.7 million weights: (n, 3, h, w) -> (n, 128)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
        ]
        inside = WIDTHS[0]
        for stage, outside in enumerate(WIDTHS):
            layers += [
                Block(inside, outside, 2 if stage else 1, shortcut=shortcut),
                Block(outside, outside, 1, shortcut=shortcut),
            ]
            inside = outside
        self.layers = nn.Sequential(*layers)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Features averaged over the image."""
        return cast(Tensor, self.layers(x).mean(dim=(2, 3)))


def build(name: str, weights: str, *, size: int) -> nn.Module:  # noqa: ARG001
    """The network called ``tiny`` with random weights, or those of the file ``weights`` (an emolab checkpoint's)."""
    from emolab.training.networks.weights import load_into, read

    if size < 8:
        raise DataError(f"tiny halves the image three times and needs at least 8 pixels per side, got {size}.")
    module = Tiny()
    if weights not in ("default", "none"):
        load_into(module, read(weights), source=weights)
    return module
