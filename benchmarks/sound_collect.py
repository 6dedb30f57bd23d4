"""Collecting voices, end to end, in multiples of real time for one core: decode, cut, measure, store, record, compare.

CPU time of `emolab collect` on a fresh workspace (all threads together, the start of Python and imports left out) over
the seconds of sound it read, so that the figure is that of one core. The clips are RAVDESS speech at 16 kHz, written as
each format by libsndfile, where the test data pack is there, else noise with the bands of speech.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.audio_features import speech
from benchmarks.harness import Result, interleave, main, summary
from emolab.datasets.collect.collect import CollectRequest, collect
from emolab.modalities.audio.reading import RATE
from emolab.workspace import Workspace

#: Name, rate, format and subtype of libsndfile, and how many times real time it must be.
FORMATS = (
    ("16 kHz FLAC", 16_000, "FLAC", "PCM_16", 400),
    ("48 kHz WAV", 48_000, "WAV", "PCM_16", 200),
    ("48 kHz MP3", 48_000, "MP3", "MPEG_LAYER_III", 200),
)
#: Clips and repeats of the quick run and of the full one.
FEW, MANY = (80, 3), (300, 9)


def run(quick: bool) -> list[Result]:
    """How many seconds of sound a core takes in in a second, by format."""
    count, repeats = FEW if quick else MANY
    clips, data = speech(count)
    seconds = sum(map(len, clips)) / RATE
    with tempfile.TemporaryDirectory(prefix="emolab-benchmark-") as name:
        root = Path(name)
        for label, rate, format, subtype, _ in FORMATS:
            written(root / label, clips, rate, (format, subtype))
        number = iter(range(1000))
        taken = interleave(
            {label: lambda label=label: gather(root / f"w{next(number)}", root / label) for label, *_ in FORMATS},  # type: ignore[misc]
            repeats,
        )
    rows = []
    for label, _, _, _, least in FORMATS:
        speed, spread = summary([seconds / cpu for cpu in taken[label]])
        note = f"{data}, {seconds:,.0f} s of sound; must: {least}"
        rows.append(Result(f"collect {label}", speed, "x real time", len(clips), repeats, spread, note))
    return rows


def written(folder: Path, clips: list[NDArray[np.float32]], rate: int, kind: tuple[str, str]) -> None:
    """Write ``clips`` (at 16 kHz) to ``folder`` at ``rate``, as a format and subtype."""
    import soundfile
    import soxr

    folder.mkdir()
    for number, clip in enumerate(clips):
        samples = clip if rate == RATE else soxr.resample(clip, RATE, rate)
        path = folder / f"{number:05}.{kind[0].lower()}"
        soundfile.write(path, np.clip(samples, -1, 1), rate, format=kind[0], subtype=kind[1])


def gather(root: Path, folder: Path) -> None:
    """Collect ``folder`` into a fresh workspace."""
    workspace = Workspace.init(root, classes=("a", "b"), modality="audio")
    with workspace.catalog() as catalog:
        done = collect(workspace, catalog, CollectRequest(paths=(str(folder),)))
    if done.report.failed:
        raise RuntimeError(f"{done.report.failed} clips could not be collected")


if __name__ == "__main__":
    main(run)
