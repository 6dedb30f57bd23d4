"""Near copies of voices: how many are found after each change, and how many pairs are taken for copies that are none.

Clips of RAVDESS speech (20 actors, two sentences, each said twice in the same way: the hard case) are changed, read,
trimmed and compared with all others, as `emolab collect` does. Needs the test data pack (EMOLAB_TEST_DATA or
../shared).
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from emolab.datasets.near_copies.sounds import SoundCopies
from emolab.modalities.audio.fingerprint import fingerprint
from emolab.modalities.audio.reading import RATE, load
from emolab.modalities.audio.segments import Segmenter
from emolab.progress import SILENT

Clip = NDArray[np.float32]
#: Clips of the quick run; how many of the clips are changed.
FEW, CHANGED, CHANGED_FEW = 240, 300, 60
#: The two files of RAVDESS that hold the same sound.
KNOWN = 1


def run(quick: bool) -> list[Result]:
    """Share of copies found, by change; pairs of different recordings that were taken for copies."""
    clips = speech()[: FEW if quick else None]
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(clips))[: CHANGED_FEW if quick else CHANGED]
    looks = np.stack([look(clip) for clip in clips])
    finder = SoundCopies()
    _, pairs = finder.find(looks, fresh=0, links=none(), progress=SILENT)
    n = len(clips)
    note = f"of {n * (n - 1) // 2:,} pairs of RAVDESS speech; {len(pairs)} found, of which {KNOWN} holds the same sound"
    rows = [
        Result("different recordings taken for copies", len(pairs) - (0 if quick else KNOWN), "pairs", n, note=note)
    ]
    for name, change in changes(rng).items():
        changed = np.stack([look(change(clips[i])) for i in chosen])
        _, found = finder.find(np.concatenate([looks, changed]), fresh=n, links=none(), progress=SILENT)
        right = {(int(i), n + row) for row, i in enumerate(chosen)}
        hits = {tuple(pair) for pair in found.tolist()}
        share = 100 * len(hits & right) / len(right)
        wrong = sum(pair not in right for pair in hits)
        rows.append(Result(f"found: {name}", share, "%", len(chosen), note=f"{wrong} pairs with another recording"))
    return rows


def speech() -> list[Clip]:
    """RAVDESS speech at 16 kHz, in the order of its files."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA", Path(__file__).parents[2] / "shared"))
    archive = root / "data" / "ravdess_speech_16k.zip"
    if not archive.is_file():
        sys.exit(f"This benchmark needs {archive}.")
    with zipfile.ZipFile(archive) as file:
        return [load(file.read(name)).samples for name in sorted(file.namelist()) if name.endswith(".flac")]


def none() -> NDArray[np.int64]:
    """No links."""
    return np.zeros((0, 2), dtype=np.int64)


def look(clip: Clip) -> NDArray[np.uint8]:
    """The fingerprint of a clip as collect stores it."""
    return fingerprint(next(iter(Segmenter(60.0)([clip]))).samples)


def changes(rng: np.random.Generator) -> dict[str, Callable[[Clip], Clip]]:
    """What is done to a clip, by name."""
    import soxr

    def resampled(clip: Clip, rate: int) -> Clip:
        return np.asarray(soxr.resample(soxr.resample(clip, RATE, rate), rate, RATE), dtype=np.float32)

    def noisy(clip: Clip) -> Clip:
        noise = rng.standard_normal(len(clip)) * np.sqrt(np.square(clip).mean()) / 10
        mixed: Clip = (clip + noise).astype(np.float32)
        return mixed

    def trimmed(clip: Clip) -> Clip:
        middle = next(iter(Segmenter(60.0)([clip]))).samples.astype(np.float32) / np.float32(32768)
        return middle[int(0.3 * RATE) + 123 : len(middle) - int(0.3 * RATE)]

    return {
        "MP3": lambda clip: encoded(clip, "MP3", "MPEG_LAYER_III"),
        "Ogg Vorbis": lambda clip: encoded(clip, "OGG", "VORBIS"),
        "Ogg Opus": lambda clip: encoded(clip, "OGG", "OPUS"),
        "20 dB quieter": lambda clip: np.multiply(clip, np.float32(0.1)),
        "a telephone (8 kHz)": lambda clip: resampled(clip, 8_000),
        "0.3 s cut off at both ends of the voice": trimmed,
        "half as loud, 0.5 s cut off the file, MP3": lambda clip: encoded(
            clip[3000:-5000] * 0.5, "MP3", "MPEG_LAYER_III"
        ),
        "white noise at 20 dB": noisy,
        "2 % faster": lambda clip: np.asarray(soxr.resample(clip, RATE, round(RATE / 1.02)), dtype=np.float32),
    }


def encoded(clip: Clip, format: str, subtype: str) -> Clip:
    """``clip`` written and read again."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.clip(clip, -1, 1), RATE, format=format, subtype=subtype)
    return load(out.getvalue()).samples


if __name__ == "__main__":
    main(run)
