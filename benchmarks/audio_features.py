"""Features of sound from one transform against librosa's usual calls, on the same clips; log-mel against real time.

librosa (a development requirement, not one of emolab) is called as projects call it: one function for each feature,
each with its own transform. Both give the same numbers to 1e-4 (tests/modalities/audio/test_sound_features.py). The
clips are RAVDESS speech at 16 kHz, resampled, where the test data pack is there, else voices that tests make.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, interleave, main, ratio, summary
from emolab.modalities.audio.features import DEFAULT, FrameConfig, describe, log_mel
from emolab.modalities.audio.reading import RATE, load

#: librosa's own frames: 2,048 samples every 512, and 128 bands.
USUAL = FrameConfig(window=2048, n_fft=2048, hop=512, bands=128)
#: Clips and repeats of the quick run and of the full one.
FEW, MANY = (12, 3), (40, 15)
RATES = (22_050, 48_000)
Clip = NDArray[np.float32]


def run(quick: bool) -> list[Result]:
    """Log-mel in multiples of real time, and how much longer librosa takes for all features."""
    count, repeats = FEW if quick else MANY
    clips, data = speech(count)
    seconds = sum(map(len, clips)) / RATE
    results = [alone(clips, seconds, repeats, data)]
    for rate in RATES:
        results += against(clips, rate, repeats, data)
    return results


def speech(count: int) -> tuple[list[Clip], str]:
    """``count`` clips at 16 kHz and what they are."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA", Path(__file__).parents[2] / "shared"))
    archive = root / "data" / "ravdess_speech_16k.zip"
    if archive.is_file():
        with zipfile.ZipFile(archive) as file:
            names = sorted(name for name in file.namelist() if name.endswith(".flac"))
            chosen = np.random.default_rng(0).permutation(len(names))[:count]
            return [load(file.read(names[i])).samples for i in chosen], "RAVDESS speech"
    t = np.arange(RATE * 3.7) / RATE
    voices = [
        np.sum([np.sin(2 * np.pi * k * (100 + 9 * n) * t) / k for k in range(1, 20)], axis=0) for n in range(count)
    ]
    return [(0.1 * voice).astype(np.float32) for voice in voices], "tones"


def alone(clips: list[Clip], seconds: float, repeats: int, data: str) -> Result:
    """Log-mel as training asks for it."""
    taken = interleave({"log-mel": lambda: [log_mel(clip, RATE, DEFAULT) for clip in clips]}, 3 * repeats)
    speed, spread = summary([seconds / cpu for cpu in taken["log-mel"]])
    note = f"{data}; 64 bands, 25 ms every 16 ms"
    return Result("log-mel at 16 kHz", speed, "x real time", len(clips), 3 * repeats, spread, note)


def against(clips: list[Clip], rate: int, repeats: int, data: str) -> list[Result]:
    """All features of ``clips`` at ``rate``: librosa's time over ours, and ours in multiples of real time."""
    import soxr

    there = [np.asarray(soxr.resample(clip, RATE, rate), dtype=np.float32) for clip in clips]
    calls: dict[str, Callable[[], object]] = {
        "emolab": lambda: [describe(clip, rate, USUAL) for clip in there],
        "librosa": lambda: [separate_calls(clip, rate) for clip in there],
    }
    taken = interleave(calls, repeats)
    times, spread = ratio(taken, "librosa", "emolab")
    speed, speeds = summary([sum(map(len, there)) / rate / cpu for cpu in taken["emolab"]])
    name, note = f"all features at {rate:,} Hz", f"{data}; 2,048 samples every 512, 128 bands"
    return [
        Result(f"{name}, librosa's calls against one transform", times, "x", len(there), repeats, spread, note),
        Result(name, speed, "x real time", len(there), repeats, speeds, note),
    ]


def separate_calls(samples: Clip, rate: int) -> list[Any]:
    """What projects write: one call for each feature."""
    import librosa

    return [
        librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=rate)),
        librosa.feature.mfcc(y=samples, sr=rate),
        librosa.feature.spectral_centroid(y=samples, sr=rate),
        librosa.feature.spectral_rolloff(y=samples, sr=rate),
        librosa.onset.onset_strength(y=samples, sr=rate),
        librosa.feature.rms(y=samples),
        librosa.feature.zero_crossing_rate(samples),
    ]


if __name__ == "__main__":
    main(run)
