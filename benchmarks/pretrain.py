"""A start without labels: the network of `face48` pretrained on unlabelled FER+ faces, beside scratch and `hog`.

It learns to tell from a distorted view what the gradients of the face were (`emolab.training.pretraining.pretrain`), on
the images of FER+ train, near copies of judged ones left out and copies once. Then the learning curve: so many labels
drawn from the same images, the product's own trainer, judged on FER+ valid by the majority protocol. Nothing is chosen
on the judged images. The bundled `face48` saw these labels and cannot be compared here. Needs the test data pack
(EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from benchmarks.finetuning import Contestant, Faces, cell, decoder, told
from benchmarks.first_models import CLASSES, divide
from benchmarks.harness import Result, main, measured
from emolab.config import TrainingConfig
from emolab.datasets.benchmark_set import evaluation_set
from emolab.modalities.preparing import Preprocessing
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.pretraining import workspace_pretraining
from emolab.training.pretraining.pretrain import pretrain

LABELS = (100, 300, 1000, 3000)
SEEDS = 3
MEANINGS = {name: name for name in CLASSES}


def run(quick: bool) -> list[Result]:
    """Pretrain, then every contestant by the number of labels."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    if not (root / "data" / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {root}; set EMOLAB_TEST_DATA.")
    found = faces(root / "data", quick=quick)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with measured() as timing:
            seen, epochs = learn_alone(found, folder, epochs=1 if quick else None)
        rows = [Result("pretraining", timing.cpu_s / 60, "CPU min", n=seen, note=f"epochs: {epochs}, one thread")]
        for labels in (100,) if quick else LABELS:
            for one in contestants(folder / "pretrained.safetensors", quick=quick):
                if labels in one.epochs:
                    cells = [cell(one, found, MEANINGS, labels, seed, folder) for seed in range(SEEDS)]
                    rows += told(f"{labels:,} labels, {one.name}", cells, one.epochs[labels])
    return rows


def faces(data: Path, *, quick: bool) -> Faces:
    """FER+ train to learn from, near copies of judged images left out, and FER+ valid to judge by."""
    train = evaluation_set(f"ferplus:{data / 'ferplus_train.zip'}", CLASSES, protocol="plurality")
    valid = evaluation_set(f"ferplus:{data / 'ferplus_valid.zip'}", CLASSES)
    judged = np.arange(valid.n)[: 150 if quick else None]
    parts = divide(train, valid, np.arange(train.n)[: 300 if quick else None], judged)
    return Faces(
        distributions=np.concatenate([train.distributions, valid.distributions]),
        targets=np.concatenate([train.targets, valid.targets]).astype(np.int64),
        learn=np.concatenate(list(parts.values())),
        judged=train.n + judged,
        pixels=decoder([*train.media, *valid.media]),
    )


def learn_alone(found: Faces, folder: Path, *, epochs: int | None) -> tuple[int, int]:
    """Pretrain on the images to learn from and keep the weights in ``folder``; how many images and epochs they were."""
    config = TrainingConfig(threads=1, precision="bfloat16")
    pixels = found.pixels(Preprocessing(48, "gray"))[found.learn]
    _, first = np.unique(pixels.reshape(len(pixels), -1), axis=0, return_index=True)
    made = workspace_pretraining.plan(config, n=len(first), color="gray", epochs=epochs)
    learned = pretrain(Pixels.of(pixels[np.sort(first)]), made, folder / "run")
    save_file(learned.weights, folder / "pretrained.safetensors")
    return len(first), made.epochs


def contestants(weights: Path, *, quick: bool = False) -> list[Contestant]:
    """Pretrained, all layers and the head alone; two networks from scratch; features that nobody learned."""
    few = {100: 1}
    solved = dict.fromkeys(LABELS, 0)
    shared = TrainingConfig(color="gray", patience=0, precision="bfloat16", weights=str(weights))
    return [
        Contestant(
            name="pretrained, full", config=shared, epochs=few if quick else {100: 40, 300: 30, 1000: 10, 3000: 6}
        ),
        Contestant(name="pretrained, head", config=replace(shared, mode="head"), epochs=solved),
        Contestant(
            name="scratch, tiny",
            config=replace(shared, backbone="tiny", weights="none"),
            epochs=few if quick else {100: 60, 300: 60, 1000: 20, 3000: 8},
        ),
        Contestant(
            name="scratch, face48",
            config=replace(shared, weights="none", optimizer="adamw", lr=2e-3, batch=32, weight_decay=0.05),
            epochs=few if quick else {300: 60},
        ),
        Contestant(
            name="hog, head",
            config=replace(shared, backbone="hog", weights="default", size=48, mode="head"),
            epochs=solved,
        ),
    ]


if __name__ == "__main__":
    main(run)
