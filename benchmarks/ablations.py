"""What each option of the trainer buys: face48 trained from scratch on a part of FER+, one option changed at a time.

Every seed draws its own part of the FER+ training images, first weights and order, the same for all arms, so that
arms are compared in pairs. A tenth of the part, copies kept together, chooses the epoch and the temperature; near
copies of judged images are left out; FER+ valid (official majority protocol, n printed) only judges. Test-time flips
are judged on the weights of every run. What is not an option of emolab is tried by the code in this file.
Needs the test data pack (EMOLAB_TEST_DATA or ../shared). With EMOLAB_ABLATIONS=FILE each finished run is appended to
that file as JSON, and one that stands there already is not run again.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.first_models import CLASSES, answers, divide, together
from benchmarks.harness import Result, main
from emolab.config import TrainingConfig
from emolab.datasets.benchmark_set import EvaluationSet, evaluation_set
from emolab.inference import probabilities
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.stats import metrics
from emolab.training import augment
from emolab.training.augment import Augment
from emolab.training.fitting import fit
from emolab.training.fitting.distillation import mixed
from emolab.training.fitting.losses import masked_log_softmax, soft_cross_entropy
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan, plan

#: Images drawn for a seed, of which near copies are left out and a tenth is held back; epochs; seeds; images to judge.
FULL, QUICK = (1_500, 20, (0, 1, 2), None), (260, 1, (0,), 300)
#: Half of the pixels face48 is made for, at a third of the work, and a quarter of its batch and rate: what a few
#: thousand images need to learn something in a minute.
SIZE, BATCH, RATE = 24, 32, 0.0375
#: Exponent of the generalised cross-entropy and strengths of the mixtures: those of the papers.
GENERALISED, MIXUP, CUTMIX, CUTMIX_SHARE = 0.7, 0.2, 1.0, 0.5

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Arm:
    """One row of the table: ``settings`` of emolab, or what the code here does instead.

    ``single``: the winning vote is the target; ``noise``: that share of the winners replaced by another class.
    ``mix``: "", "mixup" or "cutmix"; ``robust``: generalised cross-entropy; ``teachers``: so many networks, trained on
    the same images from other first weights, give half of each target. ``base`` is the arm it is compared with.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    single: bool = False
    noise: float = 0.0
    mix: str = ""
    robust: bool = False
    teachers: int = 0
    base: str = "as shipped"


#: The ones that matter most come first, so that a run cut short still says something.
STAGES: tuple[tuple[Arm, ...], ...] = (
    (
        Arm("as shipped"),
        Arm("winners as targets", single=True),
        Arm("no augmentation", {"augmentation": "none"}),
        Arm("MixUp", mix="mixup"),
        Arm("CutMix", mix="cutmix"),
        Arm("half from two teachers", teachers=2),
    ),
    *(
        (
            Arm(f"{share:.0%} wrong", single=True, noise=share, base="winners as targets"),
            Arm(f"{share:.0%} wrong, robust loss", single=True, noise=share, robust=True, base=f"{share:.0%} wrong"),
        )
        for share in (0.2, 0.3, 0.1)
    ),
)


def run(quick: bool) -> list[Result]:
    """Train and judge every arm for every seed, and compare them in pairs."""
    drawn, epochs, seeds, n_judges = QUICK if quick else FULL
    journal = Path(os.environ["EMOLAB_ABLATIONS"]) if os.environ.get("EMOLAB_ABLATIONS") else None
    made = f"{drawn} images, {SIZE} px, {epochs} epochs, batch {BATCH}"
    done = {(row["arm"], row["seed"]): row for row in _read(journal) if row["made"] == made}
    for stage in STAGES:
        for seed in seeds:
            for arm in stage:
                if (arm.name, seed) in done:
                    continue
                found = trained(arm, seed, drawn=drawn, epochs=epochs, n_judges=n_judges)
                row = {"arm": arm.name, "seed": seed, "made": made, **found}
                done[arm.name, seed] = row
                if journal:
                    with journal.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(row) + "\n")
    results = [result for stage in STAGES for arm in stage for result in compared(arm, seeds, done)]
    shipped = [done[STAGES[0][0].name, seed] for seed in seeds]
    return [*results, *without_mean(shipped)]


def _read(journal: Path | None) -> list[dict[str, Any]]:
    if journal is None or not journal.is_file():
        return []
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


@cache
def sets() -> tuple[EvaluationSet, EvaluationSet]:
    """FER+ train and FER+ valid."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared") / "data"
    if not (root / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {root.parent}; set EMOLAB_TEST_DATA.")
    train = evaluation_set(f"ferplus:{root / 'ferplus_train.zip'}", CLASSES, protocol="plurality")
    return train, evaluation_set(f"ferplus:{root / 'ferplus_valid.zip'}", CLASSES)


@cache
def judges(n: int | None) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Rows of FER+ valid that judge, ``n`` or all of them, and their images as the network sees them."""
    valid = sets()[1]
    rows = np.sort(np.random.default_rng(23).permutation(valid.n)[:n])
    return rows, decode_many([valid.media[i] for i in rows], Preprocessing(SIZE, "gray"))


@cache
def part(seed: int, drawn: int, n_judges: int | None) -> tuple[Pixels, TrainingSet]:
    """The images to train on and to hold back that ``seed`` draws."""
    train, valid = sets()
    chosen = np.sort(np.random.default_rng([21, seed]).permutation(train.n)[:drawn])
    return together(train, divide(train, valid, chosen, judges(n_judges)[0]), Preprocessing(SIZE, "gray"))


def with_targets(data: TrainingSet, arm: Arm, seed: int) -> TrainingSet:
    """``data`` with the targets of ``arm``: the votes, the winners, or winners of which a share is wrong.

    Wrong ones are drawn evenly from the other classes, for the images held back too: a team with noisy labels has no
    others.
    """
    if not arm.single:
        return data
    rng = np.random.default_rng([22, seed])
    k = len(data.classes)
    wrong = rng.random(len(data.hard)) < arm.noise
    others = (data.hard + rng.integers(1, k, len(data.hard))) % k
    hard = np.where(wrong, others, data.hard)
    return replace(data, hard=hard, targets=np.eye(k, dtype=np.float32)[hard])


def trained(arm: Arm, seed: int, *, drawn: int, epochs: int, n_judges: int | None) -> dict[str, Any]:
    """Figures of one run on FER+ valid: images alone, with their mirror images, and by the last weights as they are."""
    pixels, data = part(seed, drawn, n_judges)
    rows, judged = judges(n_judges)
    data = with_targets(data, arm, seed)
    settings: dict[str, Any] = {
        "backbone": "face48",
        "weights": "none",
        "size": SIZE,
        "batch": BATCH,
        "lr": RATE,
        "epochs": epochs,
        "patience": 0,
        "precision": "bfloat16",
        "threads": 1,
        "seed": seed,
        **arm.settings,
    }
    made = plan(TrainingConfig(**settings), n_train=len(data.train), color="gray")
    began = time.process_time()
    data = with_teachers(pixels, data, [replace(made, seed=100 * (i + 1) + seed) for i in range(arm.teachers)])
    with tempfile.TemporaryDirectory() as folder, changed(arm):
        fitted = fit.fit(pixels, data, made, Path(folder))
        last = last_weights(Path(folder))
    seconds = time.process_time() - began
    both = (pixels.take(data.valid), judged)
    alone = [answers(fitted, made, some) for some in both]
    ways = {
        "plain": alone,
        "flips": [
            probabilities.together(a, answers(fitted, made, probabilities.mirrored(b)))
            for a, b in zip(alone, both, strict=True)
        ],
        "no_mean": [answers(replace(fitted, weights=last), made, some) for some in both],
    }
    return {
        "n_train": len(data.train),
        "n_held": len(data.valid),
        "n": len(rows),
        "cpu_s": round(seconds, 1),
        "best_epoch": fitted.best_epoch + 1,
        **{name: figures(held, logits, data.hard[data.valid], rows) for name, (held, logits) in ways.items()},
    }


def with_teachers(pixels: Pixels, data: TrainingSet, plans: list[Plan]) -> TrainingSet:
    """``data`` whose targets to train on are half votes and half the mean of what networks trained by ``plans`` say."""
    if not plans:
        return data
    said = np.zeros((len(data.train), len(data.classes)))
    for made in plans:
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit.fit(pixels, data, made, Path(folder))
        said += softmax(answers(fitted, made, pixels.take(data.train))) / len(plans)
    return mixed(data, said, 0.5)


def last_weights(folder: Path) -> dict[str, Tensor]:
    """The weights after the last step of the run in ``folder``, without the EMA.

    The mean has no part in the steps, so these are the ones a run without it ends with.
    """
    place = state.newest(folder)
    assert place is not None
    found = load_file(place / state.TENSORS)
    return {name.removeprefix("model."): tensor for name, tensor in found.items() if name.startswith("model.")}


def figures(
    held: NDArray[Any], logits: NDArray[Any], truth: NDArray[np.int64], rows: NDArray[np.int64]
) -> dict[str, float]:
    """What ``logits`` of ``rows`` of FER+ valid are worth; their temperature fits those ``held`` back to ``truth``."""
    answer, votes = sets()[1].targets[rows].astype(np.int64), sets()[1].distributions[rows]
    temperature = fit_temperature(held, truth)
    found = metrics.summary(softmax(logits, temperature), answer, CLASSES)
    kept = {key: found[key] for key in ("accuracy", "macro_f1", "balanced_accuracy", "ece", "nll", "brier")}
    raw, scaled = (metrics.against_votes(softmax(logits, t), votes) for t in (1.0, temperature))
    return {
        "temperature": temperature,
        **kept,
        "ece_before": metrics.expected_calibration_error(softmax(logits), answer),
        "votes": cast(float, scaled["cross_entropy"]),
        "votes_before": cast(float, raw["cross_entropy"]),
    }


@contextmanager
def changed(arm: Arm) -> Iterator[None]:
    """Train with the mixtures and the loss of ``arm`` instead of emolab's own."""
    load = augment.load
    mixing = Mixing(arm.mix)
    with (
        mock.patch.object(augment, "load", lambda made: mixing.after(load(made)) if arm.mix else load(made)),
        mock.patch.object(fit, "soft_cross_entropy", mixing.loss(generalised if arm.robust else soft_cross_entropy)),
    ):
        yield


class Mixing:
    """Mixes the images of a batch, then their targets by the same shares.

    "mixup": a weighted mean of two images (Zhang et al. 2018, "mixup: beyond empirical risk minimization"); "cutmix":
    a box of one in the other, in half of the batches (Yun et al. 2019, "CutMix").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.share = 1.0
        self.order = np.zeros(0, dtype=np.int64)

    def after(self, augment: Augment) -> Augment:
        """``augment``, then the mixture."""
        return lambda images, rng: self.mixed(augment(images, rng), rng)

    def mixed(self, images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """``images`` (b, h, w, c) mixed with each other; which and by how much is kept for the targets."""
        n, height, width = images.shape[:3]
        self.order = rng.permutation(n)
        if self.kind == "mixup":
            self.share = float(rng.beta(MIXUP, MIXUP))
            mean = self.share * images + (1 - self.share) * images[self.order].astype(np.float32)
            return np.asarray(mean + 0.5).astype(np.uint8)
        self.share = 1.0
        if rng.random() >= CUTMIX_SHARE:
            return images
        side = np.sqrt(1 - rng.beta(CUTMIX, CUTMIX))
        middle = rng.random(2) * (height, width)
        low = np.clip(middle - side / 2 * np.array([height, width]), 0, (height, width)).astype(int)
        high = np.clip(middle + side / 2 * np.array([height, width]), 0, (height, width)).astype(int)
        out = images.copy()
        box = (slice(None), slice(low[0], high[0]), slice(low[1], high[1]))
        out[box] = images[self.order][box]
        self.share = 1 - float(np.prod(high - low)) / (height * width)
        return out

    def loss(self, loss: Loss) -> Loss:
        """``loss`` on mixed targets while training; the epoch is chosen by ``loss`` on targets as they are."""

        def mixed(logits: Tensor, targets: Tensor, supported: Tensor) -> Tensor:
            if self.kind and logits.requires_grad:
                targets = self.share * targets + (1 - self.share) * targets[torch.from_numpy(self.order)]
            return loss(logits, targets, supported)

        return mixed


def generalised(logits: Tensor, targets: Tensor, supported: Tensor) -> Tensor:
    """Mean of (1 - p^q) / q for the target's probability p (Zhang & Sabuncu 2018, "Generalized cross entropy loss")."""
    raised = torch.exp(GENERALISED * masked_log_softmax(logits, supported))
    return (targets * (1 - raised) / GENERALISED).sum(dim=1).mean()


SHOWN = (
    ("accuracy", "accuracy", "%", 100),
    ("macro_f1", "macro-F1", "", 1),
    ("ece", "calibration error", "", 1),
    ("votes", "NLL of votes", "nats", 1),
)


def compared(arm: Arm, seeds: tuple[int, ...], done: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[Result]:
    """Means over ``seeds`` of ``arm``, its differences to its base in pairs, and what flips change on its weights."""
    rows = [done[arm.name, seed] for seed in seeds]
    results = []
    for key, title, unit, factor in SHOWN:
        values = [factor * row["plain"][key] for row in rows]
        apart = [v - factor * done[arm.base, seed]["plain"][key] for v, seed in zip(values, seeds, strict=True)]
        flipped = [factor * row["flips"][key] - v for row, v in zip(rows, values, strict=True)]
        against = "" if arm.name == arm.base else f"{arm.base} {_signed(apart)}; "
        results.append(
            Result(
                f"{arm.name}: {title}",
                statistics.mean(values),
                unit,
                n=rows[0]["n"],
                seeds=len(seeds),
                spread=(min(values), max(values)),
                note=f"{against}with flips {_signed(flipped)}",
            )
        )
    return results


def without_mean(rows: Sequence[Mapping[str, Any]]) -> list[Result]:
    """What the last weights as they are change against the EMA that is shipped, run by run."""
    results = []
    for key, title, unit, factor in SHOWN:
        apart = [factor * (row["no_mean"][key] - row["plain"][key]) for row in rows]
        mean, spread = statistics.mean(apart), (min(apart), max(apart))
        name = f"no EMA: change of {title}"
        results.append(Result(name, mean, unit, n=rows[0]["n"], seeds=len(rows), spread=spread))
    return results


def _signed(apart: list[float]) -> str:
    return f"{statistics.mean(apart):+.3g} ({min(apart):+.3g} to {max(apart):+.3g})"


if __name__ == "__main__":
    main(run)
