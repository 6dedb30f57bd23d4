"""What each part of the augmentation of voices buys: voice16 from scratch on RAVDESS speech, one change at a time.

Every seed draws its own first weights and order, the same for all arms, so that arms are compared in pairs. Actors 1 to
12 are learned from and 13 to 20 judge: an inner split by speaker, on which nothing that is reported as accuracy rests.
Half of the bands at a third of the work, and all steps of the recipe. MixUp is no option of emolab; the code of
`benchmarks.ablations` tries it. A change of tempo and of pitch belonged to the augmentation until this benchmark told
that it costs recall; "everything" still has it, and "without tempo and pitch" is the augmentation as it is. Needs the
test data pack (EMOLAB_TEST_DATA or ../shared). With EMOLAB_ABLATIONS=FILE each finished run is appended to that file as
JSON, and one that stands there is not run again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, cpu_seconds, main
from benchmarks.speech import CLASSES, Voices, logits, ravdess, trained, voices
from emolab.inference.probabilities import softmax
from emolab.stats import metrics

if TYPE_CHECKING:
    from emolab.training.augment import Augment

#: Actors to learn from; those who judge.
LEARN, JUDGE = range(1, 13), range(13, 21)
#: Bands of the pictures. The recipe has twice as many.
BANDS = 32
#: How far tempo (a logarithm) and pitch (a share of the bands) change.
TEMPO, PITCH = 0.12, 0.05
#: Clips that pass by in a run, and seeds.
FULL, QUICK = (40_000, (0, 1, 2)), (400, (0,))


@dataclass(frozen=True)
class Arm:
    """One way to train. ``without`` sets parts of the augmentation to other reaches; ``mix`` as in the ablations.

    With ``stretch`` the tempo and the pitch are changed as well.
    """

    name: str
    without: Mapping[str, float] = field(default_factory=dict)
    mix: str = ""
    strength: float = 1.0
    stretch: bool = True


ARMS = (
    Arm("everything"),
    Arm("without masks (SpecAugment)", {"masked_time": 0.0, "masked_bands": 0.0}),
    Arm("without gain (contrast and level)", {"contrast": 0.0, "level": 0.0}),
    Arm("without noise", {"noise": 0.0}),
    Arm("without shift in time", {"shift": 0.0}),
    Arm("with MixUp (alpha 0.2)", mix="mixup"),
    Arm("without tempo and pitch", stretch=False),
)


def run(quick: bool) -> list[Result]:
    """Train and judge every arm with every seed."""
    clips, seeds = QUICK if quick else FULL
    journal = os.environ.get("EMOLAB_ABLATIONS")
    place = Path(journal) if journal and not quick else None
    done = {(row["arm"], row["seed"]): row for row in _read(place)}
    waiting = [(arm, seed, clips) for arm in (ARMS[:2] if quick else ARMS) for seed in seeds]
    waiting = [each for each in waiting if (each[0].name, each[1]) not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, min(os.cpu_count() or 1, len(waiting))), mp_context=context) as pool:
        for row in pool.map(one, *zip(*waiting, strict=True)) if waiting else ():
            done[row["arm"], row["seed"]] = row
            if place is not None:
                with place.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
    return [row for arm in ARMS if (arm.name, seeds[0]) in done for row in figures(arm, seeds, done)]


def _read(journal: Path | None) -> list[dict[str, Any]]:
    if journal is None or not journal.is_file():
        return []
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def one(arm: Arm, seed: int, clips: int) -> dict[str, Any]:
    """Figures of one run."""
    import torch

    torch.set_num_threads(1)
    known = _known()
    learn, judge = (np.flatnonzero(np.isin(known.actors, who)) for who in (LEARN, JUDGE))
    before = cpu_seconds()
    settings: dict[str, Any] = {"strength": arm.strength, "seed": seed, "precision": "bfloat16", "size": BANDS}
    with changed(arm):
        fitted, made = trained(known, learn, epochs=max(1, round(clips / len(learn))), **settings)
    seconds = cpu_seconds() - before
    found = metrics.summary(softmax(logits(fitted, made, known.pixels[judge])), known.truth[judge], CLASSES)
    kept = {key: found[key] for key in ("balanced_accuracy", "macro_f1", "nll", "ece")}
    return {"arm": arm.name, "seed": seed, "n": len(judge), "cpu_s": round(seconds, 1), "epochs": made.epochs, **kept}


@cache
def _known() -> Voices:
    return voices(ravdess(), BANDS)


@contextmanager
def changed(arm: Arm) -> Iterator[None]:
    """Train with the augmentation of ``arm`` instead of emolab's own."""
    from benchmarks.ablations import Mixing
    from emolab.training import augment
    from emolab.training.augment.spectrogram import Reach, spectrogram
    from emolab.training.fitting import fit
    from emolab.training.fitting.losses import soft_cross_entropy
    from emolab.training.runs.recipes import Plan

    mixing, reach = Mixing(arm.mix), replace(Reach(), **arm.without)
    loss: Callable[..., Any] = mixing.loss(soft_cross_entropy)
    whole = augment.load

    def load(made: Plan) -> Augment:
        own = spectrogram(reach, made.strength) if made.strength else whole(made)
        own = stretched(own) if arm.stretch else own
        return mixing.after(own) if arm.mix else own

    with mock.patch.object(augment, "load", load), mock.patch.object(fit, "soft_cross_entropy", loss):
        yield


def stretched(augment: Augment) -> Augment:
    """Another tempo and pitch for each picture (h, w, 1) of a sound, then ``augment``."""
    import cv2

    def moved(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        n, height, width = images.shape[:3]
        tempo = np.exp(rng.uniform(-TEMPO, TEMPO, n))
        pitch = rng.uniform(-PITCH, PITCH, n) * height
        out = np.empty_like(images)
        for i in range(n):
            move = np.array([[tempo[i], 0, (width - 1) / 2 * (1 - tempo[i])], [0, 1, pitch[i]]])
            out[i] = cv2.warpAffine(images[i], move, (width, height), borderValue=0).reshape(images.shape[1:])
        return augment(out, rng)

    return moved


def figures(arm: Arm, seeds: Sequence[int], done: Mapping[tuple[str, int], Mapping[str, Any]]) -> Iterator[Result]:
    """UA over ``seeds``, and in pairs how far it lies from everything on."""
    rows = [done[arm.name, seed] for seed in seeds]
    base = [done[ARMS[0].name, seed] for seed in seeds]
    for key, title, factor, unit in (("balanced_accuracy", "UA", 100, "%"), ("nll", "NLL", 1, "nats")):
        values = [factor * row[key] for row in rows]
        apart = [v - factor * b[key] for v, b in zip(values, base, strict=True)]
        against = "" if arm is ARMS[0] else f"{statistics.mean(apart):+.2f} ({min(apart):+.2f} to {max(apart):+.2f})"
        yield Result(
            f"{arm.name}: {title}",
            statistics.mean(values),
            unit,
            n=rows[0]["n"],
            seeds=len(seeds),
            spread=(min(values), max(values)),
            note=against or f"{rows[0]['epochs']} epochs",
        )


if __name__ == "__main__":
    main(run)
