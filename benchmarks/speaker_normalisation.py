"""What normalisation by speaker buys: computed features (`bands`) with a solved head on RAVDESS speech.

Actors 1 to 12 are learned from and 13 to 20 judge: an inner split by speaker, on which nothing that is reported as
accuracy rests. Nothing is drawn at random, so the spread is over the judging actors, and both ways are compared in
pairs. With `training.normalise = "speaker"` each clip is normalised by all 60 clips of its actor, those that are judged
too, without their labels: the figure is transductive, and nobody can repeat it with a clip that comes alone. Needs the
test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from benchmarks.speech import CLASSES, Voices, ravdess, voices
from emolab.config import TrainingConfig
from emolab.modalities.preparing import NONE, NORMALISED, SPEAKER
from emolab.modalities.speaker_levels import counted, table

#: Actors to learn from and those who judge; those of the quick run, which proves nothing.
FULL, QUICK = (range(1, 13), range(13, 21)), (range(1, 4), range(4, 5))


def run(quick: bool) -> list[Result]:
    """Solve a head both ways and judge it."""
    learn, judge = QUICK if quick else FULL
    known = voices(ravdess(), last=max(judge))
    found = {how: recalls(known, how, learn, judge) for how in (NONE, SPEAKER)}
    n = int(np.isin(known.actors, judge).sum())
    return list(rows(found[NONE], found[SPEAKER], n))


def recalls(known: Voices, how: str, learn: range, judge: range) -> list[float]:
    """UA (percent) of each of the actors ``judge``, by a head solved on those of ``learn``."""
    from emolab.training.fitting.head_fit import fit_head
    from emolab.training.inputs.pixel_cache import Pixels
    from emolab.training.inputs.training_set import training_set
    from emolab.training.runs.recipes import plan

    data = training_set(
        classes=CLASSES,
        ids=known.ids,
        probs=np.eye(len(CLASSES))[known.truth],
        splits=["train" if actor in learn else "valid" for actor in known.actors.tolist()],
    )
    pixels = Pixels.of(known.pixels)
    if how == SPEAKER:
        who, speakers = np.unique(known.actors, return_inverse=True)
        tables = np.stack([table(counted(known.pixels[known.actors == actor])) for actor in who])
        pixels = Pixels(pixels.array, pixels.rows, tables=tables, speakers=speakers.astype(np.int64))
    config = TrainingConfig(backbone="bands", mode="head", threads=1, normalise=how)
    with tempfile.TemporaryDirectory() as folder:
        made = plan(config, n_train=len(data.train), color="sound")
        answers = fit_head(pixels, data, made, Path(folder)).logits.argmax(axis=1)
    truth, actors = known.truth[data.valid], known.actors[data.valid]
    return [recall(answers[actors == actor], truth[actors == actor]) for actor in judge]


def recall(answers: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """The mean recall over the classes that occur, in percent."""
    return 100 * float(np.mean([(answers[truth == kind] == kind).mean() for kind in np.unique(truth)]))


def rows(plain: list[float], normalised: list[float], n: int) -> Iterator[Result]:
    """UA each way, and what the one is better by."""
    apart = [b - a for a, b in zip(plain, normalised, strict=True)]
    better = sum(one > 0 for one in apart)
    for name, found, unit, note in (
        ("UA, each clip by itself", plain, "%", f"{len(plain)} actors judge"),
        (f"UA, normalised by {NORMALISED[SPEAKER]}", normalised, "%", "by all clips of the actor, no labels"),
        ("normalisation by speaker buys", apart, "points", f"better for {better} of {len(apart)} actors; transductive"),
    ):
        yield Result(name, statistics.mean(found), unit, n=n, spread=(min(found), max(found)), note=note)


if __name__ == "__main__":
    main(run)
