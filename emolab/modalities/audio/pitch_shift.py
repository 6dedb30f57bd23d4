"""A clip with another voice: pitch and timbre moved by one ratio, tempo, pauses and loudness as they were.

1. The sound is stretched by the ratio with a phase vocoder (Flanagan and Golden 1966): the magnitudes of a short-time
   Fourier transform are read at other moments, and phases go on from frame to frame at their own frequencies.
2. It is resampled to its old length, which moves all frequencies by the ratio: pitch and formants alike.
3. Every 16 ms is made as loud as it was.

So what emotion is heard by stays: the shape of the melody in semitones, tempo, pauses, stress.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.errors import MissingExtra
from emolab.modalities.audio import flac
from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.reading.sound import load

#: Samples of a frame of the transform, and from one to the next.
FRAME, HOP = 1024, 256


def shifted_clip(data: bytes, ratio: float) -> bytes:
    """The FLAC file of ``data`` with all frequencies times ``ratio``, as long as before.

    Raises :class:`emolab.modalities.problems.Refused` for what cannot be decoded.
    """
    return flac.encode(flac.sixteen_bits(shifted(load(data).samples, ratio)))


def shifted(samples: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """``samples`` (n,) at 16 kHz with all frequencies times ``ratio``: (n,) float32, at most as loud as full scale."""
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra("soxr", "audio") from error
    long = stretched(samples, ratio)
    found = np.zeros(len(samples), np.float32)
    short = soxr.resample(long, RATE * ratio, RATE, quality="HQ")[: len(samples)]
    found[: len(short)] = short
    found *= _gain(_envelope(samples), _envelope(found), len(samples))
    peak = float(np.abs(found).max(initial=0.0))
    return found / np.float32(peak) if peak > 1 else found


def stretched(samples: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """``samples`` (n,) made to last ``ratio`` times as long, at the same pitch: (about n ratio,)."""
    window = np.hanning(FRAME + 1)[:-1]
    padded = np.pad(samples.astype(np.float64), (FRAME, 2 * FRAME))
    begins = np.arange(0, len(padded) - FRAME, HOP)
    spectrum = np.fft.rfft(padded[begins[:, None] + np.arange(FRAME)] * window)
    steps = np.arange(0, len(begins) - 1, 1 / ratio)
    at = steps.astype(np.int64)
    share = (steps - at)[:, None]
    size = (1 - share) * np.abs(spectrum[at]) + share * np.abs(spectrum[at + 1])
    usual = 2 * np.pi * HOP * np.arange(FRAME // 2 + 1) / FRAME
    moved = np.angle(spectrum[at + 1]) - np.angle(spectrum[at]) - usual
    moved = usual + moved - 2 * np.pi * np.round(moved / (2 * np.pi))
    phase = np.angle(spectrum[0]) + np.concatenate([np.zeros((1, len(usual))), np.cumsum(moved[:-1], axis=0)])
    frames = np.fft.irfft(size * np.exp(1j * phase)) * window
    out = np.zeros(len(steps) * HOP + FRAME)
    weight = np.zeros_like(out)
    for number, frame in enumerate(frames):
        out[number * HOP : number * HOP + FRAME] += frame
        weight[number * HOP : number * HOP + FRAME] += window**2
    begin = round(FRAME * ratio)
    made = out / np.maximum(weight, 1e-3)
    return made[begin : begin + round(len(samples) * ratio)].astype(np.float32)


def _envelope(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The loudness (RMS) of every 16 ms, smoothed over 48."""
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % HOP))
    power = (padded.reshape(-1, HOP) ** 2).mean(axis=1)
    return np.sqrt(np.convolve(power, np.full(3, 1 / 3), mode="same"))


def _gain(wanted: NDArray[np.float64], found: NDArray[np.float64], n: int) -> NDArray[np.float32]:
    """What makes ``found`` as loud as ``wanted``, sample by sample, within 12 dB."""
    factor = np.clip((wanted + 1e-5) / (found + 1e-5), 0.25, 4.0)
    return np.interp(np.arange(n), (np.arange(len(factor)) + 0.5) * HOP, factor).astype(np.float32)
