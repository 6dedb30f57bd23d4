"""The training step: emolab's, chosen by timing, beside eager PyTorch in float32 with its defaults, one thread.

Both train the same network on the same number of random images with AdamW. emolab's contestant is `fit` itself, from
the bytes of the pixel cache on: gathering, normalising, masked soft targets, clipping, with the layout and the
precision it chose by timing and with its allocator setting. Eager PyTorch gets normalised floats for nothing, keeps
contiguous tensors and the stock allocator. Augmentation and the EMA are off: the other side has none.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.harness import Result, main, ratio, summary
from benchmarks.turns import Turn, contestants, serve, take_turns
from emolab.config import TrainingConfig
from emolab.progress import Progress, Task
from emolab.training.fitting import tuning
from emolab.training.fitting.fit import fit
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.runs.recipes import plan

MODULE = "benchmarks.training_step"
#: Backbone, pixels, images per step.
CASES = (("resnet18", 64, 64), ("mobilenet_v2", 64, 64), ("resnet50", 64, 64), ("resnet18", 112, 32))
QUICK = 1
CLASSES, RATE = 8, 1e-4
OURS, THEIRS = "emolab", "eager"


def run(quick: bool) -> list[Result]:
    """Every case in turn."""
    return step_vs_eager(quick)


class Enough(Exception):
    """The parent wants no more steps."""


class Steps(Task):
    """A task whose every step is a turn; says what was chosen for the run in ``folder``."""

    def __init__(self, turn: Turn, folder: Path) -> None:
        self.turn, self.folder, self.first = turn, folder, True

    def advance(self, n: int = 1) -> None:  # noqa: ARG002
        """End this turn and wait for the next; the step before the first turn warms up."""
        if not self.first:
            self.turn.done(json.dumps(asdict(tuning.read(self.folder / tuning.FILE)["run"])))
        self.first = False
        if not self.turn.wait():
            raise Enough


class Turns(Progress):
    """Progress that hands out turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:  # noqa: ARG002
        """A task whose every step is a turn."""
        return Steps(Turn(), self.folder)


def play_emolab(backbone: str, size: int, batch: int) -> None:
    """Train by emolab, a step per turn; runs in a child."""
    few, many = 4 * batch, 1000 * batch  # images there are; images there seem to be, so that an epoch never ends
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (few, size, size, 3), dtype=np.uint8)
    data = training_set(
        classes=tuple(f"class {i}" for i in range(CLASSES)),
        ids=[f"{i:064x}" for i in range(many)],
        probs=np.eye(CLASSES)[rng.integers(0, CLASSES, many)],
        splits=["train"] * many,
    )
    config = TrainingConfig(
        backbone=backbone, weights="none", size=size, batch=batch, epochs=1, head_epochs=0, augmentation="none",
        optimizer="adamw", lr=RATE, depth_decay=1.0, average=0.0, threads=1, color="rgb",
    )  # fmt: skip
    pixels = Pixels(images, np.arange(many, dtype=np.int64) % few)
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(Enough):
        fit(pixels, data, plan(config, n_train=many, color="rgb"), Path(name), progress=Turns(Path(name)))


def play_eager(backbone: str, size: int, batch: int) -> None:
    """Train by a plain loop, a step per turn; runs in a child."""
    from torchvision import models

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = models.get_model(backbone, weights=None, num_classes=CLASSES).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    images, truth = torch.randn(batch, 3, size, size), torch.randint(0, CLASSES, (batch,))

    def step() -> None:
        loss = nn.functional.cross_entropy(network(images), truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    serve(step)


def step_vs_eager(quick: bool) -> list[Result]:
    """``step_vs_eager``, ratios of CPU times of a step, the first of them by that name alone."""
    cases, repeats = (CASES[:QUICK], 4) if quick else (CASES, 9)
    rows, beneath = [], []
    for case, (backbone, size, batch) in enumerate(cases):
        sides = {side: (MODULE, [side, backbone, str(size), str(batch)]) for side in (OURS, THEIRS)}
        with contestants(sides) as playing:
            cpu, _ = take_turns(playing, repeats)
            choice = tuning.Choice(**json.loads(playing[OURS].note))
        what = f"{backbone}, {size} px, batch {batch}"
        value, spread = ratio(cpu, THEIRS, OURS)
        name = "step_vs_eager" if case == 0 else f"step_vs_eager, {what}"
        rows.append(Result(name, value, "times less CPU", batch, repeats, spread, f"{what}; chosen: {choice.name}"))
        tried = ", ".join(f"{way} {1000 * seconds:.0f}" for way, seconds in choice.seconds.items())
        notes = {OURS: f"ms of forward and backward when timed: {tried}", THEIRS: "float32, contiguous"}
        for side, seconds in cpu.items():
            value, spread = summary([batch / one for one in seconds])
            row = Result(f"{side}, {what}", value, "images per CPU s", batch, repeats, spread, notes[side])
            beneath.append(row)
    return [*rows, *beneath]


if __name__ == "__main__":
    if len(sys.argv) == 5:
        {OURS: play_emolab, THEIRS: play_eager}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(run)
