"""The encoder of Whisper as a backbone for voices, from a file on the disk; its decoder is not read.

Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", section 2.2. Its last layers keep
what is said; the middle ones still know how it is said, and they are the ones that are asked. Those above are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS, HEAD = 80, 64
#: Places in time that there are, 50 a second, and those that the 4 seconds of a picture take.
PLACES, SEEN = 1500, 200
#: Whisper's value of the loudest part of a clip, and how far below it is what is 80 dB quieter or beside the clip.
LOUDEST, REACH = 1.5, 2.0


@dataclass(frozen=True)
class EncoderSize:
    """``width`` of the encoder's states, its number of ``layers``, and after which of them it is ``asked``."""

    width: int
    layers: int
    asked: tuple[int, ...]


SIZES: Mapping[str, EncoderSize] = {
    f"whisper-{name}": EncoderSize(width, layers, (layers // 4, layers // 2, 3 * layers // 4))
    for name, width, layers in (("tiny", 384, 4), ("base", 512, 6), ("small", 768, 12), ("medium", 1024, 24))
}


class EncoderLayer(nn.Module):
    """Attention and two linear layers, each beside a shortcut and behind a norm: (n, t, d) -> (n, t, d)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Every place looks at all others."""
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4).unbind()
        found = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(found.transpose(1, 2).reshape(n, t, d))
        return x + cast(Tensor, self.narrow(functional.gelu(self.wide(self.norm2(x)))))


class SpeechEncoder(nn.Module):
    """Log-mel (n, 80, frames) as Whisper takes them -> the states after every layer, each (n, frames / 2, width)."""

    places: Tensor

    def __init__(self, width: int, layers: int, *, places: int = SEEN) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, 2, padding=1)
        self.register_buffer("places", torch.zeros(places, width))
        self.layers = nn.ModuleList(EncoderLayer(width) for _ in range(layers))

    def forward(self, mel: Tensor) -> list[Tensor]:
        """One tensor for each layer, the first layer's first."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.places[: x.shape[1]]
        states: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            states.append(x)
        return states


class Whisper(nn.Module):
    """Bytes of 0..1, (n, 1 or 3, 80, frames) -> (n, 6 width): mean and spread over time of three layers."""

    normalisation = ((0.0,), (1.0,))

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        self.asked = size.asked
        self.encoder = SpeechEncoder(size.width, max(size.asked))

    def forward(self, x: Tensor) -> Tensor:
        """Statistics over the places where there is a clip; beside it the encoder hears silence."""
        steps = x.mean(dim=1) * 255
        heard = (steps.amax(dim=1)[:, ::2] > 0.5).float().unsqueeze(2)
        places = heard.sum(dim=1).clamp(min=1)
        states = self.encoder((steps - 1).clamp(min=0) * (REACH / 254) + (LOUDEST - REACH))
        found: list[Tensor] = []
        for number in self.asked:
            state = states[number - 1].float()
            mean = (state * heard).sum(dim=1) / places
            spread = ((state - mean.unsqueeze(1)).square() * heard).sum(dim=1) / places
            found += [mean, (spread + 1e-8).sqrt()]
        return torch.cat(found, dim=1)
