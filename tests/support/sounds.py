"""Sounds that tests make: a voice of vowels, and files of all kinds in memory."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def voice(
    seconds: float = 2.0,
    rate: int = 16_000,
    *,
    pitch: float = 120.0,
    tempo: float = 1.3,
    seed: int = 0,
    level: float = 0.2,
) -> NDArray[np.float32]:
    """Harmonics of a gliding pitch in syllables, with a little noise: (n,) float32."""
    t = np.arange(round(rate * seconds)) / rate
    phase = 2 * np.pi * (pitch * t + 4 * np.sin(2 * t + seed))
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 31) if k * pitch < rate / 2)
    envelope = (0.5 + 0.5 * np.sin(2 * np.pi * tempo * t + seed)) ** 2
    noise = 0.002 * np.random.default_rng(seed).standard_normal(len(t))
    return (level * harmonics * envelope + noise).astype(np.float32)


def chatter(seconds: float = 3.0, rate: int = 16_000, *, seed: int = 0) -> NDArray[np.float32]:
    """Noise whose bands come and go as those of speech do, four times a second: (n,) float32, never twice the same."""
    rng = np.random.default_rng(seed)
    n = round(rate * seconds)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / rate)
    out = np.zeros(n)
    knots = np.arange(round(seconds * 4) + 2) / 4
    for low, high in pairwise(np.geomspace(150, 3_800, 25)):
        band = np.fft.irfft(np.where((hz >= low) & (hz < high), spectrum, 0), n)
        out += band * np.exp(np.interp(np.arange(n) / rate, knots, 1.5 * rng.standard_normal(len(knots))))
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def sound_file(
    samples: NDArray[np.float32], rate: int = 16_000, *, format: str = "WAV", subtype: str = "PCM_16"
) -> bytes:
    """``samples`` (n,) or (n, channels) as a file of libsndfile."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=format, subtype=subtype)
    return out.getvalue()


def movie(
    samples: NDArray[np.float32] | None,
    rate: int = 48_000,
    *,
    format: str = "mp4",
    codec: str = "aac",
    delay: float = 0.0,
    picture: bool = False,
    pictures: int = 10,
) -> bytes:
    """``samples`` (n,) in a container of FFmpeg, ``delay`` seconds after the (optional) picture begins.

    There are ten ``pictures`` a second.
    """
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=format) as container:
        film = container.add_stream("mpeg4", rate=10) if picture else None
        track = container.add_stream(codec, rate=rate) if samples is not None else None
        if track is not None:
            track.layout = "mono"  # before the first packet is written
        if film is not None:
            film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
            for n in range(pictures):
                shade = np.full((48, 64, 3), 20 * n % 256, dtype=np.uint8)
                container.mux(film.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
            container.mux(film.encode(None))
        if track is not None and samples is not None:
            size = track.codec_context.frame_size or 1024
            first = round(delay * rate)
            for at in range(0, len(samples), size):
                part = np.ascontiguousarray(samples[None, at : at + size])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, first + at, Fraction(1, rate)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return out.getvalue()


def lag(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[int, float]:
    """(samples by which ``a`` comes after ``b``, their correlation there)."""
    from scipy.signal import correlate

    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    found = correlate(a, b, method="fft")
    return int(np.argmax(found)) - (n - 1), float(found.max() / np.sqrt((a @ a) * (b @ b)))
