"""Features of sound from one short-time Fourier transform: log-mel, MFCC, centroid, rolloff, flux, RMS, zero crossings.

The definitions are librosa's (0.11), frame by frame: ``center=True`` with zeros around the clip, periodic Hann window,
Slaney's mel scale and normalisation, decibels by ``power_to_db``, orthonormal DCT. What differs is the work:

1. Frames are cut, windowed and transformed in blocks that stay in the processor's cache, in float32.
2. Every feature is taken from a block while it is there; nothing is transformed twice.
3. Mel filters are multiplied in groups, each only with the bins that it reaches.

All of it is a pure function of (samples, rate, config). A network sees pictures made of it, which are cached: whoever
changes these numbers raises :data:`emolab.modalities.preparing.VERSION`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

#: What :func:`summary` takes over the frames of a clip: mean, standard deviation, 10th and 90th percentile.
STATISTICS = ("mean", "sd", "p10", "p90")
#: Of the numbers of :func:`summary`; a change of any needs a new one.
SUMMARY = 1

#: Numbers of one spectrum block: 120 kB, which stay in the processor's cache, and which malloc keeps for the next block
#: (from 128 KiB on it hands memory back to the system, at the price of page faults).
_TOGETHER = 30_000
#: Mel bands that are multiplied together.
_BANDS = 32
#: Below this, power counts as this (librosa's ``amin``).
_LEAST_POWER = np.float32(1e-10)
#: Samples no further than this from 0 count as 0 where the sign is asked (librosa's ``threshold``).
_ZERO = np.float32(1e-10)
_DECIBELS = np.float32(10 / np.log(10))


@dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """How a clip is cut into frames and what is taken from them.

    ``window`` samples under the Hann window are transformed as ``n_fft`` (the rest zeros), every ``hop`` samples: at
    16 kHz 25 ms every 16 ms. ``bands`` mel bands lie between ``low`` and ``high`` Hz (``None``: half the rate).
    Decibels end ``top_db`` below the loudest of the clip (``None``: they do not). ``coefficients`` of the MFCC;
    ``rolloff`` is the share of the magnitude that lies below the rolloff frequency.
    """

    window: int = 400
    n_fft: int = 512
    hop: int = 256
    bands: int = 64
    low: float = 0.0
    high: float | None = None
    top_db: float | None = 80.0
    coefficients: int = 20
    rolloff: float = 0.85

    def __post_init__(self) -> None:
        if not 2 <= self.window <= self.n_fft:
            raise ValueError(f"a window of {self.window} samples does not fit into n_fft = {self.n_fft}")
        if self.n_fft % 2 or self.hop < 1 or self.bands < 1:
            raise ValueError(f"n_fft {self.n_fft} must be even, hop {self.hop} and bands {self.bands} at least 1")

    def frames(self, samples: int) -> int:
        """How many frames a clip of so many samples has."""
        return 1 + samples // self.hop


DEFAULT = FrameConfig()


@dataclass(frozen=True, kw_only=True)
class SoundFeatures:
    """What one clip is like, frame by frame; all float32.

    ``log_mel`` (bands, frames) in dB, ``mfcc`` (coefficients, frames), and of one number a frame each: ``centroid``
    and ``rolloff`` in Hz, ``flux`` in dB (how much louder the bands became since the frame before, on average),
    ``rms`` as amplitude, ``crossings`` as zero crossings per sample.
    """

    log_mel: NDArray[np.float32]
    mfcc: NDArray[np.float32]
    centroid: NDArray[np.float32]
    rolloff: NDArray[np.float32]
    flux: NDArray[np.float32]
    rms: NDArray[np.float32]
    crossings: NDArray[np.float32]

    def stacked(self) -> NDArray[np.float32]:
        """All but the log-mel as one array (coefficients + 5, frames)."""
        rows = (self.centroid, self.rolloff, self.flux, self.rms, self.crossings)
        return np.concatenate([self.mfcc, np.stack(rows)])


def summary_names(config: FrameConfig = DEFAULT) -> tuple[str, ...]:
    """The names of the numbers of :func:`summary`, in their order: ``mfcc_0_mean``, ``mfcc_0_sd``, ..."""
    kinds = [f"log_mel_{i}" for i in range(config.bands)] + [f"mfcc_{i}" for i in range(config.coefficients)]
    kinds += ["centroid", "rolloff", "flux", "rms", "crossings"]
    return tuple(f"{kind}_{statistic}" for kind in kinds for statistic in STATISTICS)


def summary(found: SoundFeatures) -> NDArray[np.float32]:
    """Statistics over the frames of a clip (:data:`STATISTICS`), as one row of float32; see :func:`summary_names`."""
    rows = np.concatenate([found.log_mel, found.stacked()])
    low, high = np.quantile(rows, (0.1, 0.9), axis=1)
    return np.stack([rows.mean(axis=1), rows.std(axis=1), low, high], axis=1).astype(np.float32).ravel()


def log_mel(samples: NDArray[np.float32], rate: int, config: FrameConfig = DEFAULT) -> NDArray[np.float32]:
    """The log-mel spectrogram (bands, frames) of ``samples`` (n,) at ``rate`` Hz, in dB.

    ``librosa.power_to_db(librosa.feature.melspectrogram(...), top_db=config.top_db)``, to within rounding.
    """
    groups = _mel_groups(rate, config)
    out = np.empty((config.frames(len(samples)), config.bands), dtype=np.float32)
    for part, power in _spectra(samples, config):
        _into_bands(power, groups, out[part])
    return np.ascontiguousarray(_decibels(out, config.top_db).T)


def describe(samples: NDArray[np.float32], rate: int, config: FrameConfig = DEFAULT) -> SoundFeatures:
    """Every feature of ``samples`` (n,) at ``rate`` Hz."""
    groups = _mel_groups(rate, config)
    frequencies = np.linspace(0, rate / 2, config.n_fft // 2 + 1, dtype=np.float64)
    weights = np.stack([np.ones_like(frequencies), frequencies], axis=1).astype(np.float32)
    n = config.frames(len(samples))
    mel = np.empty((n, config.bands), dtype=np.float32)
    moments = np.empty((n, 2), dtype=np.float32)
    edge = np.empty(n, dtype=np.int64)
    for part, power in _spectra(samples, config):
        _into_bands(power, groups, mel[part])
        magnitude = np.sqrt(power, out=power)
        np.matmul(magnitude, weights, out=moments[part])
        below = np.cumsum(magnitude, axis=1)
        edge[part] = np.count_nonzero(below < np.float32(config.rolloff) * below[:, -1:], axis=1)
    decibels = _decibels(mel, config.top_db)
    centroid = np.divide(moments[:, 1], moments[:, 0], out=np.zeros(n, np.float32), where=moments[:, 0] > _tiny())
    flux = np.zeros(n, dtype=np.float32)
    flux[1:] = np.maximum(decibels[1:] - decibels[:-1], 0).mean(axis=1)
    return SoundFeatures(
        log_mel=np.ascontiguousarray(decibels.T),
        mfcc=np.ascontiguousarray((decibels @ _cosines(config.bands, config.coefficients)).T),
        centroid=centroid,
        rolloff=frequencies[edge].astype(np.float32),
        flux=flux,
        rms=_rms(samples, config),
        crossings=_crossings(samples, config),
    )


def _spectra(samples: NDArray[np.float32], config: FrameConfig) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """(frames, power) block by block: which frames they are, and their power (frames, n_fft / 2 + 1)."""
    from scipy import fft

    if samples.ndim != 1 or samples.dtype != np.float32:
        raise ValueError(f"samples must be (n,) float32, not {samples.shape} {samples.dtype}")
    samples = np.ascontiguousarray(samples)
    size, length = config.n_fft, config.window
    first = (size - length) // 2 - size // 2
    window, step = _hann(length), max(1, _TOGETHER // (size + 2))
    frames = config.frames(len(samples))
    block = np.zeros((min(step, frames), size), dtype=np.float32)
    squares = np.empty((len(block), size // 2 + 1), dtype=np.float32)
    for start in range(0, frames, step):
        count = min(step, frames - start)
        begin = start * config.hop + first
        piece = _between(samples, begin, begin + (count - 1) * config.hop + length)
        cut = np.lib.stride_tricks.as_strided(piece, (count, length), (config.hop * 4, 4), writeable=False)
        np.multiply(cut, window, out=block[:count, :length])
        parts = fft.rfft(block[:count], axis=1).view(np.float32)
        np.multiply(parts, parts, out=parts)
        np.add(parts[:, ::2], parts[:, 1::2], out=squares[:count])
        yield slice(start, start + count), squares[:count]


def _between(samples: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
    """``samples[begin:end]``, with zeros where the clip has not begun or is over."""
    if begin >= 0 and end <= len(samples):
        return samples[begin:end]
    piece = np.zeros(end - begin, dtype=np.float32)
    inside = samples[max(0, begin) : max(0, end)]
    piece[max(0, -begin) : max(0, -begin) + len(inside)] = inside
    return piece


def _into_bands(
    power: NDArray[np.float32], groups: tuple[tuple[slice, slice, NDArray[np.float32]], ...], out: NDArray[np.float32]
) -> None:
    for bands, bins, filters in groups:
        out[:, bands] = power[:, bins] @ filters


def _decibels(power: NDArray[np.float32], top_db: float | None) -> NDArray[np.float32]:
    """``power`` in dB, in place."""
    np.maximum(power, _LEAST_POWER, out=power)
    np.log(power, out=power)
    np.multiply(power, _DECIBELS, out=power)
    if top_db is not None:
        np.maximum(power, power.max() - np.float32(top_db), out=power)
    return power


def _rms(samples: NDArray[np.float32], config: FrameConfig) -> NDArray[np.float32]:
    pieces = _pieces(samples, config, np.float32(0))
    energy = np.einsum("ij,ij->i", pieces, pieces).astype(np.float64)
    return np.sqrt(_per_frame(energy, config, len(samples)) / config.n_fft).astype(np.float32)


def _crossings(samples: NDArray[np.float32], config: FrameConfig) -> NDArray[np.float32]:
    negative = samples < -_ZERO
    changed = np.zeros(len(samples), dtype=np.bool_)
    np.not_equal(negative[1:], negative[:-1], out=changed[1:])
    pieces = _pieces(changed, config, np.bool_(0))
    # librosa asks within a frame: what happens between it and the sample before it is not its own
    at_start = pieces[:: config.hop // pieces.shape[1], 0][: config.frames(len(samples))]
    found = _per_frame(np.count_nonzero(pieces, axis=1), config, len(samples)) - at_start
    return (found / config.n_fft).astype(np.float32)


def _pieces(values: NDArray[_T], config: FrameConfig, around: _T) -> NDArray[_T]:
    """``values`` with half a frame of ``around`` on both sides, in the longest pieces that make up every frame."""
    unit, half = math.gcd(config.hop, config.n_fft // 2), config.n_fft // 2
    size = -(-(len(values) + 2 * half) // unit) * unit
    padded = np.full(size, around, dtype=values.dtype)
    padded[half : half + len(values)] = values
    return padded.reshape(-1, unit)


def _per_frame(sums: NDArray[np.number], config: FrameConfig, samples: int) -> NDArray[np.float64]:
    """What every frame of so many samples adds up to, of the ``sums`` of its pieces."""
    unit = math.gcd(config.hop, config.n_fft // 2)
    cut = np.lib.stride_tricks.sliding_window_view(sums, config.n_fft // unit)
    found: NDArray[np.float64] = cut[:: config.hop // unit][: config.frames(samples)].sum(axis=1, dtype=np.float64)
    return found


def _tiny() -> np.float32:
    return np.finfo(np.float32).tiny


@lru_cache(maxsize=8)
def _hann(length: int) -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


@lru_cache(maxsize=8)
def _cosines(bands: int, coefficients: int) -> NDArray[np.float32]:
    """The orthonormal DCT-II as a matrix (bands, coefficients)."""
    at = np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(coefficients)
    scale = np.where(np.arange(coefficients) == 0, np.sqrt(1 / bands), np.sqrt(2 / bands))
    matrix: NDArray[np.float32] = (np.cos(at) * scale).astype(np.float32)
    return matrix


@lru_cache(maxsize=8)
def _mel_groups(rate: int, config: FrameConfig) -> tuple[tuple[slice, slice, NDArray[np.float32]], ...]:
    """(bands, bins, filters (bins, bands)) of neighbouring bands, without the bins that none of them reaches."""
    filters = mel_filters(rate, config)
    groups = []
    for start in range(0, config.bands, _BANDS):
        part = filters[start : start + _BANDS]
        reached = np.flatnonzero(part.any(axis=0))
        bins = slice(int(reached[0]), int(reached[-1]) + 1) if len(reached) else slice(0, 1)
        groups.append((slice(start, start + len(part)), bins, np.ascontiguousarray(part[:, bins].T)))
    return tuple(groups)


def mel_filters(rate: int, config: FrameConfig = DEFAULT) -> NDArray[np.float32]:
    """Triangular mel filters (bands, n_fft / 2 + 1), each of area 1 in Hz, up to a factor (Slaney 1998)."""
    high = rate / 2 if config.high is None else config.high
    bins = np.linspace(0, rate / 2, config.n_fft // 2 + 1)
    corners = _hz(np.linspace(_mel(config.low), _mel(high), config.bands + 2))
    width = np.diff(corners)
    ramps = corners[:, None] - bins[None, :]
    rising, falling = -ramps[:-2] / width[:-1, None], ramps[2:] / width[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


def _mel(hz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, logarithmic above."""
    return float(hz / (200 / 3) if hz < 1000 else 15 + np.log(hz / 1000) / (np.log(6.4) / 27))


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear: NDArray[np.float64] = mel * (200 / 3)
    return np.where(mel < 15, linear, 1000 * np.exp((mel - 15) * (np.log(6.4) / 27)))
