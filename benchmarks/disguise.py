"""Whether a program still knows whose voice a disguised clip is: a speaker encoder on twenty actors of RAVDESS speech.

A GE2E encoder (Wan et al. 2018) with the published weights of the package resemblyzer, read as plain tensors. An actor
is known by the mean of the encodings of ten clips of the first sentence; ten clips of the second sentence are given to
the nearest actor. Chance is 5 %. "Tries all shifts" undoes nine shifts from -4.5 to 4.5 semitones and takes the nearest
actor of all. "Told to belong together": actors are known by disguised clips too. Needs the test data pack
(EMOLAB_TEST_DATA or ../shared) and resemblyzer's files; without them there is nothing to measure.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from benchmarks.speakers import published
from benchmarks.speech import ravdess
from emolab.modalities.audio.pitch_shift import shifted
from emolab.modalities.audio.reading.sound import load
from emolab.modalities.disguise import ratio_of

SHIFTS = np.linspace(-4.5, 4.5, 9)
#: Clips of each actor that are tried with all shifts.
TRIED = 4


def run(quick: bool) -> list[Result]:
    """Encode and compare; quick: six actors, and no trying of shifts."""
    encoder = published()
    if encoder is None:
        return []
    actors = 6 if quick else 20
    known, asked = clips(ravdess(), actors, 3 if quick else 10)
    truth = np.repeat(np.arange(actors), [len(each) for each in asked])
    ratios = [ratio_of(b"benchmark", f"Actor_{actor + 1:02d}") for actor in range(actors)]

    def means(disguise: bool) -> NDArray[np.float32]:
        return np.stack([
            np.mean([encoder.encode(shifted(x, ratio) if disguise else x) for x in own], axis=0)
            for own, ratio in zip(known, ratios, strict=True)
        ])  # fmt: skip

    plain = means(False)
    before = np.stack([encoder.encode(x) for own in asked for x in own])
    other = [[shifted(x, ratio) for x in own] for own, ratio in zip(asked, ratios, strict=True)]
    after = np.stack([encoder.encode(x) for own in other for x in own])
    rows = [
        share("known by the voice as it is", nearest(before, plain) == truth),
        share("known by the disguised voice", nearest(after, plain) == truth),
        share("disguised clips told to belong together", nearest(after, means(True)) == truth),
    ]
    if not quick:
        hits = []
        for actor, own in enumerate(other):
            for x in own[:TRIED]:
                tried = np.stack([encoder.encode(shifted(x, 2 ** (semitones / 12))) for semitones in SHIFTS])
                hits.append(int((tried @ plain.T).max(axis=0).argmax()) == actor)
        rows.append(share("known by whoever tries all shifts", np.array(hits)))
    return rows


def clips(archive: Path, actors: int, most: int) -> tuple[list[list[NDArray[np.float32]]], ...]:
    """Clips of the first and of the second sentence, by actor, spread over the emotions."""
    found: list[list[list[NDArray[np.float32]]]] = [[[] for _ in range(actors)] for _ in range(2)]
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist(), key=lambda each: each[-9:]):
            match = re.search(r"03-01-\d\d-(\d\d)-(\d\d)-(\d\d)-(\d\d)\.flac$", name)
            if match is None or int(match[4]) > actors or match[3] != "01":
                continue
            own = found[int(match[2]) - 1][int(match[4]) - 1]
            if len(own) < most:
                own.append(load(files.read(name)).samples)
    return found[0], found[1]


def nearest(given: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest of ``means`` (k, d) for each of ``given`` (n, d): (n,)."""
    found: NDArray[np.int64] = np.argmax(given @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T, axis=1)
    return found


def share(name: str, hit: NDArray[np.bool_]) -> Result:
    """A share of right answers with its 95 % interval."""
    from emolab.stats.proportions import wilson

    low, high = wilson(float(hit.mean()), len(hit))
    return Result(name, 100 * float(hit.mean()), "%", n=len(hit), spread=(100 * low, 100 * high), note="95 % interval")


if __name__ == "__main__":
    main(run)
