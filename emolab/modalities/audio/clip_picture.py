"""A clip drawn: its spectrogram from the first moment to the last, for people."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from emolab.modalities.audio import reading
from emolab.modalities.audio.features import log_mel
from emolab.modalities.audio.reading.sound import load
from emolab.modalities.audio.spectrogram import RANGE, frames_of
from emolab.modalities.problems import Refused

#: Mel bands that are drawn.
BANDS = 64


def clip_picture(data: bytes, size: tuple[int, int]) -> bytes:
    """A PNG of ``size`` (width, height) of all of the clip, low tones at the foot, in colours of a thermal camera.

    Raises :class:`Refused` for what cannot be decoded.
    """
    samples = load(data).samples
    if not len(samples):
        raise Refused("nothing in it", "the file holds no samples")
    decibels = log_mel(samples, reading.RATE, frames_of(BANDS))[::-1]
    shades = np.clip((decibels - decibels.max() + RANGE) * (255 / RANGE), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    coloured(Image.fromarray(shades).resize(size, Image.Resampling.BILINEAR)).save(out, "PNG")
    return out.getvalue()


def coloured(picture: Image.Image) -> Image.Image:
    """A gray ``picture`` in the colours of a thermal camera."""
    return ImageOps.colorize(picture, "#000004", "#fcfdbf", mid="#b73779")
