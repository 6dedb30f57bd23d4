"""The one way from the samples of a clip to the picture of it that a network sees."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.audio.features import FrameConfig, log_mel
from emolab.modalities.audio.reading import RATE
from emolab.modalities.preparing import Preprocessing

#: Samples that one row of a picture of 64 bands stands for, times 64: 1.024 s a quarter of the width.
QUARTER = 16_384
#: Decibels below the loudest value that are told apart; what is quieter, and what is no sound at all, is 0.
RANGE = 80.0
#: Ends that stay so many decibels below the loudest frame are silence, and left out.
SILENT = 45.0
#: The lowest frequency in Hz; below are the hum of the mains and steps.
LOWEST = 50.0
#: The frames that Whisper was trained on (Radford et al. 2022, section 2.2): 25 ms every 10 ms.
WHISPER = FrameConfig(window=400, n_fft=400, hop=160, bands=80, top_db=None)


def picture(samples: NDArray[np.float32], wanted: Preprocessing) -> NDArray[np.uint8]:
    """What a network sees of ``samples`` (n,), mono at 16 kHz, as ``wanted`` says: :func:`spectrogram` or Whisper's.

    For "whisper" that is (80, 400, 1): its own log-mel over the 4 seconds with most energy, at the left.
    """
    if wanted.color == "sound":
        return spectrogram(samples, wanted.size)
    return _bytes(log_mel(samples, RATE, WHISPER), wanted.shape[1], centred=False)


def spectrogram(samples: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Bytes (size, 4 size, 1) of ``samples`` (n,), mono at 16 kHz: log-mel bands, the lowest first, over 4.1 seconds.

    In this order: silence at both ends is left out; of what is longer, the part of 4.1 s with the most energy; what is
    shorter stands in the middle. 255 is the loudest value, 1 what is 80 dB or more below it, 0 what is beside the clip.
    So nothing depends on how loud a clip was recorded.
    """
    return _bytes(log_mel(samples, RATE, frames_of(size)), 4 * size, centred=True)


def _bytes(decibels: NDArray[np.float32], width: int, *, centred: bool) -> NDArray[np.uint8]:
    """The part of ``decibels`` (bands, frames) with voice, in ``width`` columns."""
    power = np.power(np.float32(10), decibels / np.float32(10)).sum(axis=0)
    first, last = _voiced(power)
    if last - first > width:
        energy = np.concatenate([[0.0], np.cumsum(power[first:last], dtype=np.float64)])
        first += int(np.argmax(energy[width:] - energy[:-width]))
        last = first + width
    part = decibels[:, first:last]
    values = (part - part.max() + np.float32(RANGE)) * np.float32(254 / RANGE)
    out = np.zeros((len(part), width, 1), dtype=np.uint8)
    left = (width - part.shape[1]) // 2 if centred else 0
    out[:, left : left + part.shape[1], 0] = np.clip(np.rint(values) + 1, 1, 255)
    return out


@lru_cache(maxsize=8)
def frames_of(size: int) -> FrameConfig:
    """How a clip is cut into frames for a picture of ``size`` bands."""
    return FrameConfig(window=400, n_fft=512, hop=round(QUARTER / size), bands=size, low=LOWEST, top_db=None)


def described(wanted: Preprocessing) -> dict[str, Any]:
    """What :func:`picture` does, step by step, for the document of an exported model."""
    own = wanted.color == "sound"
    config, width = frames_of(wanted.size) if own else WHISPER, wanted.shape[1]
    return {
        "decode": "all channels averaged; resampled to 16 kHz (soxr, HQ)",
        "frames": f"{config.window} samples under a periodic Hann window, transformed as {config.n_fft}, every "
        f"{config.hop}; centred, with zeros around the clip",
        "bands": f"{config.bands} mel bands (Slaney) from {config.low:g} to {RATE // 2} Hz, in dB: "
        "10 log10(max(power, 1e-10))",
        "ends": f"frames at both ends are left out whose power, over all bands, is {SILENT:g} dB below the loudest",
        "fit": f"of more than {width} frames, those with most power; fewer stand "
        f"{'in the middle of' if own else 'before'} zeros",
        "values": f"round(254 (x - loudest + {RANGE:g}) / {RANGE:g}) + 1, at least 1; beside the clip 0",
        "dtype": "uint8",
        "range": [0, 255],
        "layout": "NHWC: bands (lowest first), frames",
        "recipe": "docs/audio.md",
    }


def _voiced(power: NDArray[np.float32]) -> tuple[int, int]:
    """From where to where ``power`` (frames,) is not silence."""
    heard = np.flatnonzero(power >= power.max() * np.float32(10 ** (-SILENT / 10)))
    return int(heard[0]), int(heard[-1]) + 1
