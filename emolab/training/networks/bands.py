"""A backbone for sounds that has nothing to learn: statistics of the bands of a spectrogram, for the first labels.

What the classical features of emotion in speech amount to (Schuller et al. 2009, "The INTERSPEECH 2009 emotion
challenge": statistics of low-level descriptors over a clip): how strong each band is, how much and how quickly it
changes, how the end differs from the beginning, at which rate syllables follow each other, and how long it all takes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emolab.errors import ConfigError, DataError

#: Slowest and fastest change of loudness that is looked at, in periods of 8.2 s, twice the width: 0.2 to 4 a second.
SLOWEST, FASTEST = 2, 34
#: What brings strength, spread, quickness, course, rhythm and length to about the same scale.
SCALES = (6.0, 10.0, 25.0, 6.0, 60.0, 6.0)


class Bands(nn.Module):
    """(n, 1 or 3, bands, frames) of 0..1 -> (n, 4 bands + 33), where 0 is beside the clip."""

    normalisation = ((0.0,), (1.0,))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, d), float32."""
        values = x.float().mean(dim=1)
        heard = (values.amax(dim=1) > 0).float()  # (n, frames)
        frames = heard.sum(dim=1, keepdim=True).clamp(min=2)
        shown = heard[:, None]

        def mean_over(part: Tensor, where: Tensor) -> Tensor:
            return (part * where).sum(dim=2) / where.sum(dim=2).clamp(min=1)

        strength = mean_over(values, shown)
        spread = mean_over((values - strength[:, :, None]).square(), shown).sqrt()
        both = shown[:, :, 1:] * shown[:, :, :-1]
        quickness = mean_over((values[:, :, 1:] - values[:, :, :-1]).abs(), both)
        place = heard.cumsum(dim=1) / frames
        first, last = ((place <= 1 / 3).float() * heard)[:, None], ((place > 2 / 3).float() * heard)[:, None]
        course = mean_over(values, last) - mean_over(values, first)
        parts = (strength, spread, quickness, course, self.rhythm(values, heard, place, frames), frames / x.shape[3])
        return torch.cat([part * scale for part, scale in zip(parts, SCALES, strict=True)], dim=1)

    @staticmethod
    def rhythm(values: Tensor, heard: Tensor, place: Tensor, frames: Tensor) -> Tensor:
        """How strongly loudness changes at each rate (n, 32), under a Hann window over the clip."""
        loudness = values.mean(dim=1)
        middle = (loudness * heard).sum(dim=1, keepdim=True) / frames
        window = 0.5 - 0.5 * torch.cos(2 * torch.pi * place)
        width = values.shape[2]
        spectrum: Tensor = torch.fft.rfft((loudness - middle) * heard * window, n=2 * width).abs()
        known = nn.functional.pad(spectrum, (0, max(0, FASTEST - spectrum.shape[1])))  # few frames have no fast rates
        return known[:, SLOWEST:FASTEST] / frames


def build(name: str, weights: str, *, size: int) -> nn.Module:  # noqa: ARG001
    """The computed features called ``bands``; there are no weights to load."""
    if weights not in ("default", "none"):
        raise ConfigError(f"bands has no weights, so training.weights = {weights} cannot be loaded.", hint="Use none.")
    if size < 8:
        raise DataError(f"bands needs at least 8 bands, got {size}.")
    return Bands()
