"""Accuracy, macro-F1 and minutes of a first model on FER+: MobileNetV2 with ImageNet weights, without, and `tiny`.

Trained on the FER+ training votes (soft targets), judged on FER+ valid by the official majority protocol, n printed.
Nothing is chosen on the judged images: a tenth of the training images, copies kept together, decides which epoch is
kept and what the temperature is, and training images that are near copies of a judged one are left out.
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
import torch
from numpy.typing import NDArray

from benchmarks.harness import Result, main, measured
from emolab.config import TrainingConfig
from emolab.datasets.benchmark_set import EvaluationSet, evaluation_set
from emolab.datasets.splits.assign import assign
from emolab.datasets.voted_dataset import units
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.stats import metrics
from emolab.taxonomy import PRESETS
from emolab.training.fitting.fit import fit
from emolab.training.fitting.fitted import Fitted
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet, training_set
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.networks import backbones
from emolab.training.networks.backbones import Backbone
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan, plan

CLASSES = PRESETS["ferplus8"]
SEED = 0
#: What is kept back from the training images to choose epoch and temperature.
SHARES = {"train": 0.9, "valid": 0.1}
#: Training images of the quick run.
FEW = 300

Rows = NDArray[np.int64]


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
    splits = divide(train, valid, chosen, judged)
    rows: list[Result] = []
    for contestant in contestants(root / "weights" / "mobilenet_v2_imagenet.safetensors", quick=quick):
        rows += judge(contestant, train, valid, splits, judged)
    return rows


def divide(train: EvaluationSet, valid: EvaluationSet, chosen: Rows, judged: Rows) -> dict[str, Rows]:
    """Rows of ``train`` to ``train`` on and to calibrate on (``valid``), near copies of judged images left out."""
    unit = units([*(train.media[i] for i in chosen), *(valid.media[i] for i in judged)])
    own = unit[: len(chosen)]
    free = ~np.isin(own, unit[len(chosen) :])
    rows = chosen[free]
    labels = [CLASSES[target] for target in train.targets[rows].tolist()]
    found = np.array(
        assign([f"{number}" for number in own[free].tolist()], labels, [None] * len(rows), shares=SHARES, seed=SEED)
    )
    return {split: rows[found == split] for split in SHARES}


def contestants(weights: Path, *, quick: bool) -> list[Contestant]:
    """MobileNetV2 twice, and the built-in network; few epochs, for some minutes of CPU each."""
    size, epochs = (32, 1) if quick else (64, 2)
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
        Contestant(
            "tiny", TrainingConfig(backbone="tiny", epochs=1 if quick else 4, color="gray", seed=SEED, strength=0.7)
        ),
    ]


def judge(
    contestant: Contestant, train: EvaluationSet, valid: EvaluationSet, splits: dict[str, Rows], judged: Rows
) -> list[Result]:
    """Accuracy, macro-F1, calibration and minutes of one contestant."""
    made = plan(contestant.config, n_train=len(splits["train"]), color="gray")
    wanted = Preprocessing(made.size, made.color)
    pixels, data = together(train, splits, wanted)
    with measured() as timing, tempfile.TemporaryDirectory() as folder:
        fitted = fit(pixels, data, made, Path(folder))
    temperature = fit_temperature(fitted.logits, data.hard[data.valid])
    logits = answers(fitted, made, decode_many([valid.media[i] for i in judged], wanted))
    truth = valid.targets[judged].astype(np.int64)
    found = metrics.summary(softmax(logits, temperature), truth, CLASSES)
    before = metrics.expected_calibration_error(softmax(logits), truth)
    n = len(truth)
    note = (
        f"{len(data.train):,} train images, {made.size} px, epochs: {len(fitted.history)}, seed {made.seed}, "
        f"{made.threads} threads, {fitted.precision}, epoch {fitted.best_epoch + 1} kept"
    )
    name = contestant.name
    scaled = f"T = {temperature:.2f}, fitted on {len(data.valid):,} other images"
    return [
        Result(f"{name}: accuracy", 100 * found["accuracy"], "%", n=n, note=f"FER+ valid, majority protocol; {note}"),
        Result(f"{name}: macro-F1", found["macro_f1"], "", n=n, note=f"{found['present']} classes"),
        Result(f"{name}: calibration error", found["ece"], "", n=n, note=f"{before:.3f} before {scaled}"),
        Result(f"{name}: time", timing.wall_s / 60, "min", n=len(data.train), note=f"{timing.cpu_s / 60:.1f} CPU min"),
    ]


def together(train: EvaluationSet, splits: dict[str, Rows], wanted: Preprocessing) -> tuple[Pixels, TrainingSet]:
    """Pixels and targets of the images to train and to calibrate on."""
    rows = np.concatenate([splits[split] for split in SHARES])
    data = training_set(
        classes=CLASSES,
        ids=[f"{i:064x}" for i in range(len(rows))],
        probs=train.distributions[rows],
        splits=[split for split in SHARES for _ in splits[split]],
        hard=train.targets[rows],
    )
    return Pixels.of(decode_many([train.media[i] for i in rows], wanted)), data


def answers(fitted: Fitted, made: Plan, pixels: NDArray[np.uint8], k: int = len(CLASSES)) -> NDArray[np.float32]:
    """Logits (n, k) of the fitted network for decoded images."""
    built = backbones.build(made.backbone, "none", size=made.size)
    network = Classifier(Backbone(built.module, built.width, fitted.mean, fitted.std, ()), k, dropout=0.0)
    network.load_state_dict(fitted.weights)
    network.eval()
    with torch.inference_mode():
        found = [
            network(batches.as_images(part, torch.device("cpu"))).float().numpy()
            for part in np.array_split(pixels, max(1, len(pixels) // 256))
        ]
    return np.concatenate(found)


if __name__ == "__main__":
    main(run)
