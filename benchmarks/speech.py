"""Emotion from voices: voice16 from scratch on RAVDESS speech, eight classes, judged on people it has never heard.

Five folds of four actors each over actors 1 to 20 (these are not the six folds of EmoBox, which take all 24 actors).
A fold is judged once, by the network as it is after its last epoch: size, rates, epochs and augmentation were chosen on
inner splits by speaker, with twelve actors to learn from and four to judge, and never on the fold that is reported.
UA is the mean of the recalls of the classes (balanced accuracy), chance is 12.5 %. Needs the test data pack
(EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, cpu_seconds, main
from emolab.config import TrainingConfig
from emolab.datasets import voted_dataset
from emolab.modalities.preparing import Preprocessing, decode_many

if TYPE_CHECKING:
    from emolab.training.fitting.fitted import Fitted
    from emolab.training.runs.recipes import Plan

CLASSES = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
FOLDS, ACTORS = 5, 4
#: Epochs of the quick run, which judges one fold and proves nothing.
FEW = 2


@dataclass(frozen=True)
class Judged:
    """One fold: answers and truth (v,) as numbers of classes, the actors (v,), CPU seconds of training, weights."""

    answers: NDArray[np.int64]
    truth: NDArray[np.int64]
    actors: NDArray[np.int64]
    seconds: float
    parameters: int


def run(quick: bool) -> list[Result]:
    """Train and judge every fold."""
    archive = ravdess()
    folds = range(1 if quick else FOLDS)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(folds)), mp_context=context) as pool:
        judged = list(pool.map(_fold, [archive] * len(folds), folds, [FEW if quick else None] * len(folds)))
    return rows(judged)


def ravdess() -> Path:
    """The zip of RAVDESS speech in the test data pack."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    archive = root / "data" / "ravdess_speech_16k.zip"
    if not archive.is_file():
        sys.exit(f"The test data pack is not at {root}; set EMOLAB_TEST_DATA.")
    return archive


def rows(judged: list[Judged]) -> list[Result]:
    """The figures of the folds."""
    n = sum(len(fold.truth) for fold in judged)
    minutes = [fold.seconds / 60 for fold in judged]
    note = f"{judged[0].parameters / 1e6:.2f} M weights"
    made = [
        _over_folds("UA, 8 classes, from scratch", [recall(fold) for fold in judged], n, note),
        _over_folds("WA, 8 classes", [float((fold.answers == fold.truth).mean()) for fold in judged], n, "accuracy"),
        _over_folds("UA, calm counts as neutral", [recall(fold, calm=False) for fold in judged], n, "7 classes"),
    ]
    for sex, odd in (("women", 0), ("men", 1)):
        found = [recall(fold, only=fold.actors % 2 == odd) for fold in judged]
        made.append(_over_folds(f"UA, {sex}", found, n // 2, "two actors a fold"))
    made.append(
        Result(
            "training of a fold",
            statistics.mean(minutes),
            "core-minutes",
            n=len(judged),
            spread=(min(minutes), max(minutes)),
            note="CPU, one thread",
        )
    )
    return made


def recall(fold: Judged, *, calm: bool = True, only: NDArray[np.bool_] | None = None) -> float:
    """The mean recall over the classes that occur; without ``calm`` it is neutral, in answers and in truth."""
    answers, truth = fold.answers, fold.truth
    if not calm:
        answers, truth = (np.where(each == CLASSES.index("calm"), 0, each) for each in (answers, truth))
    if only is not None:
        answers, truth = answers[only], truth[only]
    return float(np.mean([(answers[truth == kind] == kind).mean() for kind in np.unique(truth)]))


def _over_folds(name: str, found: list[float], n: int, note: str) -> Result:
    spread = f"sd over folds {100 * statistics.stdev(found):.1f}; " if len(found) > 1 else ""
    return Result(
        name,
        100 * statistics.mean(found),
        "%",
        n=n,
        seeds=len(found),
        spread=(100 * min(found), 100 * max(found)),
        note=spread + note,
    )


@dataclass(frozen=True)
class Voices:
    """Clips as the network sees them (n, size, 4 size, 1); their ids, the class (n,) and the actor (n,) of each."""

    ids: list[str]
    media: list[bytes | Path]
    pixels: NDArray[np.uint8]
    truth: NDArray[np.int64]
    actors: NDArray[np.int64]


def voices(archive: Path, size: int = 64) -> Voices:
    """All clips of RAVDESS speech, in ``size`` bands."""
    crowd = voted_dataset.read(f"ravdess:{archive}", CLASSES)
    return Voices(
        ids=crowd.ids,
        media=list(crowd.media),
        pixels=decode_many(crowd.media, Preprocessing(size, "sound")),
        truth=crowd.votes.argmax(axis=1),
        actors=np.array([int(str(group).rpartition("_")[2]) for group in crowd.groups]),
    )


def trained(known: Voices, rows: NDArray[np.int64], **settings: Any) -> tuple[Fitted, Plan]:
    """The network after its last epoch on the clips ``rows``, from random weights, on one thread."""
    from emolab.training.fitting import fit
    from emolab.training.inputs.pixel_cache import Pixels
    from emolab.training.inputs.training_set import training_set
    from emolab.training.runs.recipes import plan

    data = training_set(
        classes=CLASSES,
        ids=[known.ids[i] for i in rows],
        probs=np.eye(len(CLASSES))[known.truth[rows]],
        splits=["train"] * len(rows),
    )
    chosen: dict[str, Any] = {"backbone": "voice16", "weights": "none", "threads": 1, "precision": "float32"} | settings
    made = plan(TrainingConfig(**chosen), n_train=len(rows), color="sound")
    with tempfile.TemporaryDirectory() as folder:
        return fit.fit(Pixels(known.pixels, rows), data, made, Path(folder)), made


def logits(fitted: Fitted, made: Plan, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network says of ``pixels`` (v, size, 4 size, 1), (v, 8)."""
    import torch

    from emolab.training.networks import backbones
    from emolab.training.networks.backbones import Backbone
    from emolab.training.networks.classifier import Classifier
    from emolab.training.predict import BATCH

    module = backbones.build("voice16", "none", size=made.size)
    network = Classifier(Backbone(module.module, module.width, fitted.mean, fitted.std, ()), len(CLASSES), dropout=0.0)
    network.load_state_dict(fitted.weights)
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(pixels), BATCH):
            part = torch.from_numpy(pixels[start : start + BATCH]).permute(0, 3, 1, 2)
            found.append(network(part).numpy())
    return np.concatenate(found)


def _fold(archive: Path, number: int, epochs: int | None) -> Judged:
    """Learn from all actors but the four of fold ``number``, and judge those."""
    import torch

    torch.set_num_threads(1)
    known = voices(archive)
    held = (known.actors - 1) // ACTORS == number
    learn, judge = np.flatnonzero(~held), np.flatnonzero(held)
    before = cpu_seconds()
    fitted, made = trained(known, learn, epochs=epochs)
    seconds = cpu_seconds() - before
    answers = logits(fitted, made, known.pixels[judge]).argmax(axis=1)
    return Judged(answers, known.truth[judge], known.actors[judge], seconds, fitted.parameters)


if __name__ == "__main__":
    main(run)
