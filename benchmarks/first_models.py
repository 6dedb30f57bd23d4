"""Accuracy, macro-F1 and minutes of a first model on FER+: MobileNetV2 with ImageNet weights, without, and `tiny`.

Trained on the FER+ training votes (soft targets), judged on FER+ valid by the official majority protocol, n printed.
Needs the test data pack (EMOLAB_TEST_DATA or ../shared). Epochs are few on purpose: this is what a first
evening on a laptop gives, not what the networks can reach.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import Result, main, measured
from emolab.config import TrainingConfig
from emolab.datasets.evaluation import EvaluationSet, evaluation_set
from emolab.taxonomy import PRESETS
from emolab.training import metrics
from emolab.training.cache import Pixels
from emolab.training.calibrate import fit_temperature, softmax
from emolab.training.data import TrainingSet, training_set
from emolab.training.decode import Preprocessing, decode_many
from emolab.training.fit import fit
from emolab.training.recipes import plan

CLASSES = PRESETS["ferplus8"]
SEED = 0
#: Training images of the quick run.
FEW = 600


@dataclass(frozen=True)
class Contestant:
    """One row: what is trained, and how long."""

    name: str
    config: TrainingConfig


def run(quick: bool) -> list[Result]:
    """Train and judge every contestant, one after the other."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    if not (root / "data" / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {root}; set EMOLAB_TEST_DATA.")
    train = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_train.zip'}", CLASSES, protocol="plurality")
    valid = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_valid.zip'}", CLASSES)
    rng = np.random.default_rng(SEED)
    chosen = np.sort(rng.permutation(train.n)[:FEW]) if quick else np.arange(train.n)
    judged = np.sort(rng.permutation(valid.n)[: FEW // 2]) if quick else np.arange(valid.n)
    rows: list[Result] = []
    for contestant in contestants(root / "weights" / "mobilenet_v2_imagenet.safetensors", quick=quick):
        rows += judge(contestant, train, valid, chosen, judged)
    return rows


def contestants(weights: Path, *, quick: bool) -> list[Contestant]:
    """MobileNetV2 twice, and the built-in network; few epochs, for some minutes of CPU each."""
    size, epochs = 64, 1 if quick else 2
    shared = {"size": size, "color": "gray", "seed": SEED, "augmentation": "torchvision", "strength": 0.7}
    return [
        Contestant(
            "mobilenet_v2, ImageNet weights",
            TrainingConfig(backbone="mobilenet_v2", weights=str(weights), epochs=epochs, head_epochs=0, **shared),  # type: ignore[arg-type]
        ),
        Contestant(
            "mobilenet_v2, weights = none",
            TrainingConfig(backbone="mobilenet_v2", weights="none", epochs=epochs, **shared),  # type: ignore[arg-type]
        ),
        Contestant("tiny", TrainingConfig(epochs=1 if quick else 4, color="gray", seed=SEED, strength=0.7)),
    ]


def judge(
    contestant: Contestant, train: EvaluationSet, valid: EvaluationSet, chosen: np.ndarray, judged: np.ndarray
) -> list[Result]:
    """Accuracy, macro-F1, calibration and minutes of one contestant."""
    made = plan(contestant.config, n_train=len(chosen), gray=True)
    pixels, data = together(train, valid, chosen, judged, Preprocessing(made.size, made.color))
    with measured() as timing, tempfile.TemporaryDirectory() as folder:
        fitted = fit(pixels, data, made, Path(folder))
    truth = data.hard[data.valid]
    temperature = fit_temperature(fitted.logits, truth)
    found = metrics.summary(softmax(fitted.logits, temperature), truth, CLASSES)
    before = metrics.expected_calibration_error(softmax(fitted.logits), truth)
    n = len(truth)
    note = (
        f"{len(data.train):,} train images, {made.size} px, {len(fitted.history)} epochs, seed {made.seed}, "
        f"{made.threads} threads, {fitted.precision}, epoch {fitted.best_epoch + 1} kept"
    )
    name = contestant.name
    scaled = f"T = {temperature:.2f}, fitted on the same images"
    return [
        Result(f"{name}: accuracy", 100 * found["accuracy"], "%", n=n, note=f"FER+ valid, majority protocol; {note}"),
        Result(f"{name}: macro-F1", found["macro_f1"], "", n=n, note=f"{found['present']} classes"),
        Result(f"{name}: calibration error", found["ece"], "", n=n, note=f"{before:.3f} before {scaled}"),
        Result(f"{name}: time", timing.wall_s / 60, "min", n=len(data.train), note=f"{timing.cpu_s / 60:.1f} CPU min"),
    ]


def together(
    train: EvaluationSet, valid: EvaluationSet, chosen: np.ndarray, judged: np.ndarray, wanted: Preprocessing
) -> tuple[Pixels, TrainingSet]:
    """Pixels and targets of both sets; validation targets are the protocol's answers."""
    media = [*(train.media[i] for i in chosen), *(valid.media[i] for i in judged)]
    data = training_set(
        classes=CLASSES,
        ids=[f"{i:064x}" for i in range(len(media))],
        probs=np.concatenate([train.distributions[chosen], valid.distributions[judged]]),
        splits=["train"] * len(chosen) + ["valid"] * len(judged),
        hard=np.concatenate([train.targets[chosen], valid.targets[judged]]),
    )
    return Pixels.of(decode_many(media, wanted)), data


if __name__ == "__main__":
    main(run)
