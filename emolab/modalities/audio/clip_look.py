"""The picture by which a clip is recognised again when it comes trimmed, quieter or re-encoded.

The spectrogram that a network sees reaches down to noise that every encoder changes, and its columns begin where the
clip begins. So of the same sound this takes another picture:

1. the power in 32 bands of 300 to 3,400 Hz (the band of a telephone), down to 25 dB below the loudest, which every
   codec keeps;
2. smoothed over 0.26 s, so that it does not matter where frames begin;
3. read at 64 places over 4.1 s around the centre of gravity of the sound, which stays where silence is cut off.

``python -m benchmarks.learned`` prints how many copies are recognised by it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.audio.features import FrameConfig, log_mel
from emolab.modalities.audio.reading import RATE

#: Long frames, close together: the pitch of a voice leaves no ripple in them.
FRAMES = FrameConfig(window=1024, n_fft=1024, hop=128, bands=32, low=300.0, high=3_400.0, top_db=None)
#: Frames that are averaged under a Hann window, frames of a picture, and its columns.
SMOOTHED, WIDTH, COLUMNS = 33, 512, 64
#: Decibels below the loudest value that are told apart, and what stands beside the clip.
RANGE, NOTHING = 25.0, -200.0
#: With fewer frames from the first to the last that is heard (1.25 s), many clips look alike.
FEWEST = 156


def clip_look(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture (32, 64) of ``samples`` (n,), mono at 16 kHz; flat where too little is heard of a voice."""
    power = _smoothed(np.power(np.float32(10), log_mel(samples, RATE, FRAMES) / np.float32(10)))
    loudness = power.sum(axis=0)
    heard = np.flatnonzero(loudness >= loudness.max() * 10 ** (-RANGE / 10))
    if heard[-1] - heard[0] < FEWEST:
        return np.zeros((FRAMES.bands, COLUMNS), dtype=np.uint8)
    places = _centre(loudness) + (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * (WIDTH / COLUMNS)
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    frames = np.arange(power.shape[1])
    seen = np.stack([np.interp(places, frames, band, left=NOTHING, right=NOTHING) for band in decibels])
    values = (seen - seen.max() + RANGE) * (255 / RANGE)
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _smoothed(power: NDArray[np.float32]) -> NDArray[np.float64]:
    """``power`` (bands, frames) averaged over time, with what flows over at both ends."""
    weights = np.hanning(SMOOTHED + 2)[1:-1]
    return np.stack([np.convolve(band, weights / weights.sum(), "full") for band in power.astype(np.float64)])


def _centre(loudness: NDArray[np.float64]) -> float:
    """The centre of gravity of ``loudness`` (frames,); of what is longer than a picture, that of its loudest part."""
    first, part = 0, loudness
    if len(loudness) > WIDTH:
        total = np.concatenate([[0.0], np.cumsum(loudness)])
        first = int(np.argmax(total[WIDTH:] - total[:-WIDTH]))
        part = loudness[first : first + WIDTH]
    return first + float((part * np.arange(len(part))).sum() / max(part.sum(), 1e-12))
