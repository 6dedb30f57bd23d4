"""The bundled network voice16 on people it has never heard: in all, by the sex of the speaker, and in noise.

voice16 itself has learned from all actors, so five models judge that were made as it was, each without four of the
actors: 1 to 4, 5 to 8, ... (these are not the six folds of EmoBox). Each is judged once, after its last epoch. UA is
the mean of the recalls of the classes, chance is 12.5 %. Noise has as much power in every octave; its level is counted
against the parts of a clip within 30 dB of the loudest. With EMOLAB_VOICE16=FOLDER what a fold said is kept there, and
`scripts/voice16.py` takes the calibration from it. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, cpu_seconds, main
from benchmarks.speech import ACTORS, CLASSES, FEW, FOLDS, Voices, logits, ravdess, trained, voices
from emolab.inference.probabilities import softmax
from emolab.modalities.audio import reading
from emolab.modalities.audio.spectrogram import spectrogram
from emolab.stats import metrics

#: How voice16 is trained, beside the recipe of its backbone: the same here and in scripts/voice16.py.
SETTINGS: dict[str, Any] = {"backbone": "voice16", "weights": "none", "precision": "bfloat16", "threads": 1, "seed": 0}
#: Levels of noise in dB.
LEVELS = (20, 10, 5, 0)
SIZE, QUIET = 64, 30.0


@dataclass(frozen=True)
class HeldOut:
    """What the model of one fold said: ``logits`` (v, 8), by level of noise as well; ``truth`` and ``actors`` (v,)."""

    logits: NDArray[np.float32]
    noisy: dict[int, NDArray[np.float32]]
    truth: NDArray[np.int64]
    actors: NDArray[np.int64]
    seconds: float


def run(quick: bool) -> list[Result]:
    """Train and judge every fold."""
    place = os.environ.get("EMOLAB_VOICE16")
    return rows(folds(ravdess(), None if quick or not place else Path(place), quick=quick))


def folds(archive: Path, keep: Path | None, *, quick: bool = False, epochs: int | None = None) -> list[HeldOut]:
    """All folds, with ``quick`` one after a few epochs; what is in ``keep`` is not trained again."""
    numbers = range(1 if quick else FOLDS)
    context = multiprocessing.get_context("spawn")
    jobs = [(archive, number, keep, FEW if quick else epochs) for number in numbers]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(numbers)), mp_context=context) as pool:
        return list(pool.map(_fold, *zip(*jobs, strict=True)))


def _fold(archive: Path, number: int, keep: Path | None, epochs: int | None) -> HeldOut:
    """Learn from all actors but the four of fold ``number``, and judge those."""
    import torch

    file = None if keep is None else keep / f"fold{number}.npz"
    if file is not None and file.is_file():
        return _read(file)
    torch.set_num_threads(1)
    known = voices(archive, SIZE)
    held = (known.actors - 1) // ACTORS == number
    learn, judge = np.flatnonzero(~held), np.flatnonzero(held)
    before = cpu_seconds()
    fitted, made = trained(known, learn, **SETTINGS, epochs=epochs)
    seconds = cpu_seconds() - before
    found = HeldOut(
        logits(fitted, made, known.pixels[judge]),
        {level: logits(fitted, made, in_noise(known, judge, level)) for level in LEVELS},
        known.truth[judge],
        known.actors[judge],
        seconds,
    )
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        noisy = {f"noisy{level}": said for level, said in found.noisy.items()}
        kept: dict[str, Any] = {"logits": found.logits, "truth": found.truth, "actors": found.actors, **noisy}
        np.savez(file, seconds=seconds, **kept)
    return found


def _read(file: Path) -> HeldOut:
    with np.load(file) as kept:
        noisy = {level: kept[f"noisy{level}"] for level in LEVELS}
        return HeldOut(kept["logits"], noisy, kept["truth"], kept["actors"], float(kept["seconds"]))


def in_noise(known: Voices, rows: NDArray[np.int64], level: float) -> NDArray[np.uint8]:
    """The clips ``rows`` as the network sees them with noise of ``level`` dB, the same for a clip at any level."""
    found = []
    for row in rows.tolist():
        samples = reading.load(known.media[row]).samples
        rng = np.random.default_rng(int(known.ids[row][:8], 16))
        found.append(spectrogram(with_noise(samples, level, rng), SIZE))
    return np.stack(found)


def with_noise(samples: NDArray[np.float32], level: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """``samples`` (n,) and noise that is ``level`` dB quieter than the loud parts of them."""
    spectrum = np.fft.rfft(rng.normal(size=len(samples)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, len(samples))
    frames = samples[: len(samples) // 400 * 400].reshape(-1, 400).astype(np.float64)
    power = (frames**2).mean(axis=1)
    loud = float(power[power >= power.max() * 10 ** (-QUIET / 10)].mean())
    noise *= np.sqrt(loud / 10 ** (level / 10) / (noise**2).mean())
    found: NDArray[np.float32] = (samples + noise).astype(np.float32)
    return found


def figures(logits: NDArray[np.float32], truth: NDArray[np.int64], temperature: float = 1.0) -> dict[str, Any]:
    """What ``logits`` (v, 8) are worth."""
    return metrics.summary(softmax(logits, temperature), truth, CLASSES)


def rows(judged: list[HeldOut]) -> list[Result]:
    """The figures of the folds."""
    n = sum(len(fold.truth) for fold in judged)
    clean = [figures(fold.logits, fold.truth) for fold in judged]
    made = [
        _over_folds("UA, 8 classes", [100 * one["balanced_accuracy"] for one in clean], "%", n),
        _over_folds("macro-F1, 8 classes", [one["macro_f1"] for one in clean], "", n),
        _over_folds("accuracy", [100 * one["accuracy"] for one in clean], "%", n),
    ]
    for sex, odd in (("women", 0), ("men", 1)):
        mine = [fold.actors % 2 == odd for fold in judged]
        found = [
            100 * figures(fold.logits[some], fold.truth[some])["balanced_accuracy"]
            for fold, some in zip(judged, mine, strict=True)
        ]
        made.append(_over_folds(f"UA, {sex}", found, "%", sum(int(some.sum()) for some in mine), "two actors a fold"))
    for level in LEVELS:
        found = [100 * figures(fold.noisy[level], fold.truth)["balanced_accuracy"] for fold in judged]
        made.append(_over_folds(f"UA, noise at {level} dB", found, "%", n))
    minutes = [fold.seconds / 60 for fold in judged]
    return [*made, _over_folds("training of a fold", minutes, "core-minutes", len(judged), "one thread")]


def _over_folds(name: str, found: list[float], unit: str, n: int, note: str = "") -> Result:
    spread = f"sd over folds {statistics.stdev(found):.2g}" if len(found) > 1 else ""
    told = "; ".join(part for part in (spread, note) if part)
    seeds = len(found)
    return Result(name, statistics.mean(found), unit, n=n, seeds=seeds, spread=(min(found), max(found)), note=told)


if __name__ == "__main__":
    main(run)
