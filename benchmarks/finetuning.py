"""Fine-tuning on classes of one's own: from `face48`, from ImageNet weights and from scratch, by the number of labels.

Three sets of classes are made from the votes of FER+: six everyday names, Ekman's with neutral, and four by valence and
arousal. `face48` learned from FER+ train, so labels come from one half of FER+ valid and the other half judges; near
copies stay in one half, and images that are near copies of a training image are left out. Nothing is chosen on the
judged half here: no epoch, no penalty, no rate. (Once, FER+ valid did choose the epoch that `face48` comes from.)
Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.first_models import CLASSES, answers
from benchmarks.harness import Result, main
from emolab.config import TrainingConfig
from emolab.datasets.benchmark_set import evaluation_set
from emolab.datasets.splits.assign import assign
from emolab.datasets.voted_dataset import units
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.stats import metrics
from emolab.training.fitting.fit import fit
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.runs.recipes import plan

Rows = NDArray[np.int64]
LABELS = (50, 200, 1000)
SEEDS = 3
#: Which half an image falls into.
SPLIT_SEED = 0
HALVES = {"train": 0.5, "valid": 0.5}

#: A class of FER+ that is not named has no place in the set: its images are left out and its votes do not count.
SETS: Mapping[str, Mapping[str, str]] = {
    "six": {
        "happiness": "happy",
        "anger": "angry",
        "sadness": "sad",
        "neutral": "neutral",
        "surprise": "surprise",
        "disgust": "other",
        "fear": "other",
        "contempt": "other",
    },
    "ekman7": {name: name for name in CLASSES if name != "contempt"},
    "arousal4": {
        "happiness": "positive",
        "anger": "negative_high_arousal",
        "fear": "negative_high_arousal",
        "disgust": "negative_high_arousal",
        "sadness": "negative_low_arousal",
        "contempt": "negative_low_arousal",
        "neutral": "neutral",
    },
}


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to begin: settings, and the epochs for a number of labels (where none are given it does not run)."""

    name: str
    config: TrainingConfig
    epochs: Mapping[int, int]


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Images with ``distributions`` (n, 8) and ``targets`` (n,) over FER+'s classes; rows to ``learn`` and to judge by.

    ``pixels`` decodes all of them for a contestant.
    """

    distributions: NDArray[np.float32]
    targets: Rows
    learn: Rows
    judged: Rows
    pixels: Callable[[Preprocessing], NDArray[np.uint8]]


def run(quick: bool) -> list[Result]:
    """Every contestant on every set of classes, by the number of labels."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    if not (root / "data" / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {root}; set EMOLAB_TEST_DATA.")
    found = faces(root / "data", quick=quick)
    rows: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("six",) if quick else SETS:
            for labels in (50,) if quick else LABELS:
                for one in contestants(root / "weights" / "mobilenet_v2_imagenet.safetensors", quick=quick):
                    if labels in one.epochs:
                        cells = [cell(one, found, SETS[name], labels, seed, Path(folder)) for seed in range(SEEDS)]
                        rows += told(f"{name}, {labels:,} labels, {one.name}", cells, one.epochs[labels])
    return rows


def told(name: str, cells: list[dict[str, float]], epochs: int) -> list[Result]:
    """The rows of one contestant: mean over the draws of labels, with the lowest and the highest."""
    note = f"epochs: {epochs}" if epochs else "head solved"
    rows: list[Result] = []
    for key, unit, factor in (("accuracy", "%", 100), ("macro_f1", "", 1)):
        values = [factor * cell[key] for cell in cells]
        rows.append(
            Result(
                f"{name}: {key.replace('_', '-')}",
                float(np.mean(values)),
                unit,
                n=int(cells[0]["n"]),
                seeds=len(cells),
                spread=(min(values), max(values)),
                note=note,
            )
        )
    return rows


def contestants(imagenet: Path, *, quick: bool = False) -> list[Contestant]:
    """Three beginnings; those with something learned also with the backbone as it is and the head solved."""
    few = {50: 1}
    solved = dict.fromkeys(LABELS, 0)
    shared = {"color": "gray", "patience": 0, "tuning": not quick}
    quickest = replace(TrainingConfig(**shared), precision="bfloat16")  # type: ignore[arg-type]
    mobile = replace(
        TrainingConfig(**shared),  # type: ignore[arg-type]
        backbone="mobilenet_v2",
        weights=str(imagenet),
        size=64,
        augmentation="warp",
        precision="float32",
    )
    return [
        Contestant(name="face48, full", config=quickest, epochs=few if quick else {50: 20, 200: 10, 1000: 4}),
        Contestant(name="face48, head", config=replace(quickest, mode="head"), epochs=solved),
        Contestant(name="ImageNet, full", config=mobile, epochs=few if quick else {50: 20, 200: 10, 1000: 4}),
        Contestant(name="ImageNet, head", config=replace(mobile, mode="head"), epochs=solved),
        Contestant(
            name="scratch",
            config=replace(quickest, backbone="tiny", weights="none"),
            epochs=few if quick else {50: 40, 200: 20, 1000: 8},
        ),
    ]


def faces(data: Path, *, quick: bool) -> Faces:
    """FER+ valid by the majority protocol in two halves, near copies together, none of them one of a training image."""
    train = evaluation_set(f"ferplus:{data / 'ferplus_train.zip'}", CLASSES, protocol="plurality")
    valid = evaluation_set(f"ferplus:{data / 'ferplus_valid.zip'}", CLASSES)
    unit = units([*valid.media, *(train.media[:500] if quick else train.media)])
    own = np.flatnonzero(~np.isin(unit[: valid.n], unit[valid.n :]))
    labels = [CLASSES[target] for target in valid.targets[own].tolist()]
    names = [f"{number}" for number in unit[own].tolist()]
    half = np.array(assign(names, labels, [None] * len(own), shares=HALVES, seed=SPLIT_SEED))
    return Faces(
        distributions=valid.distributions,
        targets=valid.targets.astype(np.int64),
        learn=own[half == "train"],
        judged=own[half == "valid"][: 150 if quick else None],
        pixels=decoder(valid.media),
    )


def decoder(media: Sequence[bytes | Path]) -> Callable[[Preprocessing], NDArray[np.uint8]]:
    """A function that gives ``media`` as pixels (n, size, size, channels), decoded once."""
    decoded: dict[Preprocessing, NDArray[np.uint8]] = {}

    def pixels(wanted: Preprocessing) -> NDArray[np.uint8]:
        if wanted not in decoded:
            decoded[wanted] = decode_many(media, wanted)
        return decoded[wanted]

    return pixels


def cell(
    one: Contestant, found: Faces, meanings: Mapping[str, str], labels: int, seed: int, folder: Path
) -> dict[str, float]:
    """Accuracy and macro-F1 of ``one`` on the classes of ``meanings`` with the draw ``seed`` of ``labels`` labels.

    Draws are nested: the first 50 of a seed's 200 labels are its 50.
    """
    classes, shares, hard = translated(found, meanings)
    learn = np.random.default_rng([seed, 1]).permutation(found.learn[hard[found.learn] >= 0])[:labels]
    judged = found.judged[hard[found.judged] >= 0]
    config = replace(one.config, seed=seed, epochs=one.epochs[labels] or None, threads=1)
    made = plan(config, n_train=len(learn), color="gray")
    pixels = found.pixels(Preprocessing(made.size, made.color))
    rows = np.concatenate([learn, judged]) if made.mode == "head" else learn
    data = training_set(
        classes=classes,
        ids=[f"{row:064x}" for row in rows.tolist()],
        probs=shares[rows],
        splits=["train"] * len(learn) + ["valid"] * (len(rows) - len(learn)),
        hard=hard[rows],
    )
    if made.mode == "head":  # nothing is chosen by these: they are only answered
        logits = fit_head(Pixels(pixels, rows), data, made, folder / "features").logits
    else:
        with tempfile.TemporaryDirectory() as state:
            fitted = fit(Pixels(pixels, rows), data, made, Path(state))
        logits = answers(fitted, made, pixels[judged], len(classes))
    summary = metrics.summary(softmax(logits), hard[judged], classes)
    return {"n": len(judged), "accuracy": summary["accuracy"], "macro_f1": summary["macro_f1"]}


def translated(
    found: Faces, meanings: Mapping[str, str]
) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.int64]]:
    """The classes (k) of ``meanings``, distributions (n, k) over them, winners (n,), -1 where these have no place."""
    classes = tuple(dict.fromkeys(meanings.values()))
    matrix = np.zeros((len(CLASSES), len(classes)), dtype=np.float32)
    for old, new in meanings.items():
        matrix[CLASSES.index(old), classes.index(new)] = 1
    hard = np.where(matrix.any(axis=1), matrix.argmax(axis=1), -1)[found.targets]
    return classes, found.distributions @ matrix, hard


if __name__ == "__main__":
    main(run)
