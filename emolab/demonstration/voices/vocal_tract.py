"""From an utterance to a sound: pulses of a glottis through the formants of vowels, with breath, consonants and a room.

After Klatt 1980, "Software for a cascade/parallel formant synthesizer", reduced to what tells manners of speaking
apart. All that is random is in the utterance or drawn from its seed, so any process makes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

RATE = 16_000
#: Frequencies in Hz of three formants of vowels of a man (after Peterson and Barney 1952), and two that all share.
VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "schwa": (500, 1500, 2500),
}
_HIGHER, _WIDTHS = (3500, 4500), (60, 90, 130, 200, 250)


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A person: ``pitch`` in Hz, ``scale`` of the formants (a shorter throat has more), ``pace`` and ``breath``."""

    pitch: float
    scale: float
    pace: float
    breath: float


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How something is said, relative to the person's usual way.

    ``pitch``, ``span`` (from syllable to syllable), ``slope`` (from beginning to end) and ``rise`` (within the last
    syllable) are in semitones; ``pace`` is a factor of syllables a second; ``bright`` is in dB at 4 kHz; ``tremor`` in
    semitones at 6 Hz; ``rough`` a share by which periods differ; ``breath`` the share of noise; ``smile`` a share by
    which formants rise; ``accent`` in dB by which every second syllable is louder; ``attack`` seconds until a syllable
    is loud.
    """

    pitch: float = 0.0
    span: float = 1.2
    slope: float = -1.5
    rise: float = 0.0
    pace: float = 1.0
    bright: float = 0.0
    tremor: float = 0.0
    rough: float = 0.008
    breath: float = 0.03
    smile: float = 0.0
    accent: float = 3.0
    attack: float = 0.05


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One clip before it is made: who, how, which vowels; ``snr`` in dB of the room's noise, ``level`` in dBFS."""

    speaker: Speaker
    manner: Manner
    vowels: tuple[str, ...]
    snr: float
    level: float
    seed: int


def synthesise(wanted: Utterance) -> NDArray[np.float32]:
    """Samples (n,) of -1..1, mono at 16 kHz."""
    rng = np.random.default_rng(wanted.seed)
    lengths = _lengths(wanted, rng)
    pitch = _pitch(wanted, lengths, rng)
    source = _pulses(pitch, wanted.manner, rng)
    breath = wanted.manner.breath + wanted.speaker.breath
    source = (1 - breath) * source + breath * 0.35 * rng.normal(size=len(source))
    voice = _bright(_vowels(source, wanted, lengths), wanted.manner.bright) * _loudness(wanted, lengths)
    voice += _consonants(lengths, float(np.sqrt(np.mean(voice**2))), rng)
    noise = np.cumsum(rng.normal(size=len(voice)))  # a room rumbles more than it hisses
    noise = np.diff(noise, prepend=0.0) + 0.05 * (noise - np.convolve(noise, np.ones(400) / 400, "same"))
    power = float(np.mean(voice**2))
    noise *= np.sqrt(power / 10 ** (wanted.snr / 10) / max(float(np.mean(noise**2)), 1e-12))
    sound = voice + noise
    sound *= 10 ** (wanted.level / 20) / max(float(np.sqrt(np.mean(sound**2))), 1e-9)
    found: NDArray[np.float32] = np.clip(sound, -0.99, 0.99).astype(np.float32)
    return found


def _lengths(wanted: Utterance, rng: Generator) -> NDArray[np.int64]:
    """Samples of each syllable; the last one is longer."""
    seconds = 0.23 / (wanted.manner.pace * wanted.speaker.pace) * rng.uniform(0.75, 1.25, len(wanted.vowels))
    seconds[-1] *= 1.35
    found: NDArray[np.int64] = (seconds * RATE).astype(np.int64)
    return found


def _pitch(wanted: Utterance, lengths: NDArray[np.int64], rng: Generator) -> NDArray[np.float64]:
    """Hz (n,) of the voice, gliding from syllable to syllable."""
    manner, k, n = wanted.manner, len(lengths), int(lengths.sum())
    middles = np.cumsum(lengths) - lengths / 2
    tones = manner.pitch + rng.uniform(-1, 1, k) * manner.span + manner.slope * (np.arange(k) / max(1, k - 1) - 0.5)
    tones += np.where(np.arange(k) % 2 == 0, 0.3, -0.3) * manner.span
    at = np.arange(n)
    tone = np.interp(at, middles, tones)
    last = at - (n - lengths[-1])
    tone += np.where(last > 0, manner.rise * last / lengths[-1], 0.0)
    tone += manner.tremor * np.sin(2 * np.pi * 6 * at / RATE + rng.uniform(0, 2 * np.pi))
    found: NDArray[np.float64] = np.clip(wanted.speaker.pitch * 2 ** (tone / 12), 60, 700)
    return found


def _pulses(pitch: NDArray[np.float64], manner: Manner, rng: Generator) -> NDArray[np.float64]:
    """A pulse for each period (n,), between two samples where it falls between them, softened to -12 dB an octave."""
    from scipy.signal import lfilter

    phase = np.cumsum(pitch / RATE)
    periods = np.arange(1, int(phase[-1]))
    times = np.interp(periods, phase, np.arange(len(phase)))
    times += rng.normal(size=len(times)) * manner.rough * (RATE / pitch[times.astype(int)])
    times = np.clip(times, 0, len(pitch) - 2)
    whole, heights = times.astype(int), 1 + rng.normal(size=len(times)) * 4 * manner.rough
    train = np.zeros(len(pitch))
    np.add.at(train, whole, heights * (1 - (times - whole)))
    np.add.at(train, whole + 1, heights * (times - whole))
    soft = lfilter([1.0], [1.0, -1.84, 0.8464], train)
    soft = np.diff(soft, prepend=0.0)  # the lips radiate the change
    found: NDArray[np.float64] = soft / max(float(np.sqrt(np.mean(soft**2))), 1e-9)
    return found


def _vowels(source: NDArray[np.float64], wanted: Utterance, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """``source`` through the formants of each syllable, which glide in the third before the next one."""
    from scipy.signal import sosfilt

    out = np.empty_like(source)
    state, at = np.zeros((len(_WIDTHS), 2)), 0
    scale = wanted.speaker.scale * (1 + wanted.manner.smile)
    for number, (vowel, length) in enumerate(zip(wanted.vowels, lengths.tolist(), strict=True)):
        after = wanted.vowels[min(number + 1, len(lengths) - 1)]
        here, there = (np.array((*VOWELS[name], *_HIGHER)) * scale for name in (vowel, after))
        cuts = np.linspace(0, length, 7).astype(int)
        for part, (first, last) in enumerate(pairwise(cuts.tolist())):
            glide = max(0.0, (part - 3) / 4)
            sections = _resonators((1 - glide) * here + glide * there)
            out[at + first : at + last], state = sosfilt(sections, source[at + first : at + last], zi=state)
        at += length
    return out


def _resonators(formants: NDArray[np.float64]) -> NDArray[np.float64]:
    """Second-order sections (m, 6), one for each of the ``formants`` (m,) in Hz, of gain 1 at 0 Hz."""
    radius = np.exp(-np.pi * np.array(_WIDTHS) / RATE)
    first = -2 * radius * np.cos(2 * np.pi * np.minimum(formants, 7600) / RATE)
    second = radius**2
    zeros, ones = np.zeros_like(first), np.ones_like(first)
    return np.stack([1 + first + second, zeros, zeros, ones, first, second], axis=1)


def _bright(voice: NDArray[np.float64], decibels: float) -> NDArray[np.float64]:
    """``voice`` with so many dB more (or less) at 4 kHz than at the bottom."""
    from scipy.signal import lfilter

    low = lfilter([0.3], [1, -0.7], voice)
    found: NDArray[np.float64] = low + 10 ** (decibels / 20) * (voice - low)
    return found


def _loudness(wanted: Utterance, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """The envelope (n,): every syllable swells and fades, every second one is stressed, the voice sinks to the end."""
    manner, parts = wanted.manner, []
    for number, length in enumerate(lengths.tolist()):
        at = np.arange(length) / RATE
        swell = np.minimum(1, at / manner.attack) * np.minimum(1, (at[::-1] + 0.004) / 0.06)
        stressed = manner.accent if number % 2 == 0 else 0.0
        parts.append(swell * 10 ** ((stressed - 4 * number / len(lengths)) / 20))
    return np.concatenate(parts)


def _consonants(lengths: NDArray[np.int64], rms: float, rng: Generator) -> NDArray[np.float64]:
    """Hiss (n,) where most syllables begin, of no more than some hundredths of a second."""
    from scipy.signal import lfilter

    out = np.zeros(int(lengths.sum()))
    for start in (np.cumsum(lengths) - lengths).tolist():
        if rng.random() < 0.7:
            length = int(RATE * rng.uniform(0.03, 0.07))
            hiss = lfilter([1, -0.9], [1], rng.normal(size=length)) * np.hanning(length)
            end = min(len(out), start + length)
            out[start:end] += rng.uniform(0.1, 0.4) * rms * hiss[: end - start]
    return out
