"""The built-in backbone: a small residual network for small faces, trained from scratch."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from emolab.errors import DataError

WIDTHS = (16, 32, 64, 128)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, "Deep residual learning", figure 2)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(  # type: ignore[assignment]
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, outside, h / stride, w / stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


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
            layers += [Block(inside, outside, 2 if stage else 1), Block(outside, outside, 1)]
            inside = outside
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Features averaged over the image."""
        return cast(Tensor, self.layers(x).mean(dim=(2, 3)))


def build(name: str, weights: str, *, size: int) -> nn.Module:  # noqa: ARG001
    """The network called ``tiny`` with random weights, or those of the file ``weights`` (an emolab checkpoint's)."""
    from emolab.training.weights import load_into, read

    if size < 8:
        raise DataError(f"tiny halves the image three times and needs at least 8 pixels per side, got {size}.")
    module = Tiny()
    if weights not in ("default", "none"):
        load_into(module, read(weights), source=weights)
    return module
