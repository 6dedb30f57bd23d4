"""What emolab's own networks are made of: two convolutions beside a shortcut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

#: (channels in, channels out, stride) -> the way around the convolutions where they change what passes.
Shortcut = Callable[[int, int, int], nn.Module]


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, "Deep residual learning", figure 2)."""

    def __init__(self, inside: int, outside: int, stride: int, *, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else shortcut(inside, outside, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, outside, ceil(h / stride), ceil(w / stride))."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


def stages(stem: int, widths: Sequence[int], *, first: int, shortcut: Shortcut) -> nn.Sequential:
    """A convolution of one channel to ``stem`` at stride ``first``, then per width a halving block and a plain one."""
    layers: list[nn.Module] = [nn.Conv2d(1, stem, 3, first, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)]
    inside = stem
    for outside in widths:
        layers += [Block(inside, outside, 2, shortcut=shortcut), Block(outside, outside, 1, shortcut=shortcut)]
        inside = outside
    return nn.Sequential(*layers)


def draw_weights(network: nn.Module) -> None:
    """First weights of every convolution, such that gradients keep their size (He et al. 2015, "Delving deep")."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
