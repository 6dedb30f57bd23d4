"""The training loop: head first, then all layers; one state per epoch; the same weights however often interrupted."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emolab.modalities.preparing import COLORS
from emolab.progress import SILENT, Progress, Task
from emolab.training import augment
from emolab.training.fitting import head_start, tuning, validation
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.fitting.devices import cpu_threads, seed
from emolab.training.fitting.distributed import ALONE, Team
from emolab.training.fitting.fitted import Fitted
from emolab.training.fitting.losses import soft_cross_entropy
from emolab.training.fitting.optimizer import clip, make_optimizer, move_mean
from emolab.training.fitting.schedule import one_cycle
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan
from emolab.training.runs.state import RunState

#: The EMA counts as many steps as there were, up to its decay.
MEAN_RISE = 10.0

Watch = Callable[[dict[str, Any]], None]


def fit(
    pixels: Pixels,
    data: TrainingSet,
    plan: Plan,
    folder: Path,
    *,
    progress: Progress = SILENT,
    watch: Watch | None = None,
    choices: Path | None = None,
    team: Team = ALONE,
) -> Fitted:
    """Train on ``pixels`` (rows in the order of ``data.ids``) and keep the state of the run in ``folder``.

    Continues from the newest state in ``folder``. ``watch`` is called with one row per finished epoch. The epoch with
    the lowest validation loss wins, or the last one with fewer than 50 validation samples. ``choices`` is a file that
    remembers the quickest ways to compute a step (:mod:`emolab.training.fitting.tuning`). The processes of a ``team``
    call this together and get the same result. Raises :class:`EmolabError` when the loss stops being a number.
    """
    if plan.tuning:
        keep_freed_memory()
    with _own_generator(), cpu_threads(team.threads(plan.threads)):
        with team.leader_first():
            run = _Run(pixels, data, plan, folder, progress=progress, watch=watch, choices=choices, team=team)
        run.start()
        return run.finish()


class _Run:
    """State between the steps of one run."""

    def __init__(
        self,
        pixels: Pixels,
        data: TrainingSet,
        plan: Plan,
        folder: Path,
        *,
        progress: Progress,
        watch: Watch | None,
        choices: Path | None,
        team: Team,
    ) -> None:
        self.pixels, self.data, self.plan, self.folder = pixels, data, plan, folder
        self.progress, self.watch, self.team = progress, watch, team
        self.device = team.device(plan.device)
        torch.manual_seed(plan.seed)
        self.backbone = backbones.build(plan.backbone, plan.weights, size=plan.size)
        model = Classifier(self.backbone, len(data.classes), dropout=plan.dropout)
        if team.leads and state.newest(folder) is None:
            head_start.begin(model, pixels, data, plan)
        self.per_epoch = batches.count(len(data.train), plan.batch)
        self.choice = tuning.settle(
            model,
            lambda: pixels.take(data.train[: plan.batch]),
            plan,
            folder,
            device=self.device,
            steps=plan.epochs * self.per_epoch,
            known=choices,
        )
        self.model = self.choice.lay_out(model, self.device)
        self.averaged: Classifier | None = None
        self.optimizer = make_optimizer(self.model, plan)
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.augment = augment.load(plan)
        self.targets = torch.from_numpy(data.targets)
        self.supported = torch.from_numpy(data.supported)
        self.judges = validation.judges(data, seed=plan.seed)
        self.best: dict[str, Tensor] = {}
        self.at = RunState()
        self.clock = time.monotonic()

    def start(self) -> None:
        """Begin with the leader's weights, or go on with the newest state that is whole."""
        self.team.require_batches(len(self.data.train) // self.per_epoch)
        self.team.same(self.model)
        if self.plan.average:
            self.averaged = copy.deepcopy(self.model)
        with self.team.leader_first():
            self.at, self.best = state.take_over(
                self.folder,
                warn=self.progress.warn,
                model=self.model,
                averaged=self.averaged,
                optimizer=self.optimizer,
            )
        self.clock = time.monotonic()

    def finish(self) -> Fitted:
        """Run the epochs that are left; the best weights."""
        if len(self.judges) < len(self.data.valid) and self.team.leads:
            some, every, learnt = (f"{len(rows):,}" for rows in (self.judges, self.data.valid, self.data.train))
            self.progress.note(
                f"Each epoch is judged by {some} of the {every} validation samples, drawn once: "
                f"{validation.MOST_JUDGES} times the {learnt} trained on. All of them judge the finished model."
            )
        left = (self.plan.epochs - self.at.epoch) * self.per_epoch - self.at.batch
        with self.progress.task("Training", max(0, left), unit="steps") as task:
            while self.at.epoch < self.plan.epochs and not self.stopped_early():
                self.epoch(task)
        final = self.judged()
        if self.best:
            final.load_state_dict(self.best)
        return Fitted(
            weights=state.weights_of(final),
            logits=self.logits(final, "Judging the model", self.data.valid),
            mirrored=self.mirrored(final),
            history=self.at.history,
            best_epoch=self.at.best_epoch if self.best else self.at.epoch - 1,
            seconds=self.at.seconds,
            mean=self.backbone.mean,
            std=self.backbone.std,
            mismatches=self.backbone.mismatches,
            precision=self.choice.precision,
            layout=self.choice.layout,
            parameters=sum(p.numel() for p in self.model.parameters()),
        )

    def stopped_early(self) -> bool:
        """Whether the validation loss has not fallen for ``patience`` epochs of the second half.

        The first half does not count: while the rates rise the loss may lie still for long, and then fall.
        """
        if not self.plan.patience or not self.best:
            return False
        return self.at.epoch - 1 - max(self.at.best_epoch, self.plan.epochs // 2) >= self.plan.patience

    def judged(self) -> Classifier:
        """The weights that are validated and kept: the EMA where there is one."""
        return self.model if self.averaged is None else self.averaged

    def epoch(self, task: Task) -> None:
        """Train one epoch, or the rest of it, then validate and save."""
        head_only = self.at.epoch < self.plan.head_epochs
        self.model.train()
        self.model.freeze_backbone(head_only)
        parts = batches.epoch_batches(len(self.data.train), self.plan.batch, seed=self.plan.seed, epoch=self.at.epoch)
        for part in parts[self.at.batch :]:
            self.step(self.data.train[part])
            task.advance()
            if self.team.leads and time.monotonic() - self.clock > state.SAVE_EVERY and self.at.batch < len(parts):
                self.save()
        row = self.team.agree(self.row(head_only, len(parts)))
        row["seconds"] = self.at.seconds + time.monotonic() - self.clock
        self.at.history.append(row)
        enough = len(self.data.valid) >= validation.FEWEST_JUDGES
        if enough and row["valid_loss"] is not None and row["valid_loss"] < self.at.best_loss:
            self.at.best_loss, self.at.best_epoch = row["valid_loss"], self.at.epoch
            self.best = state.weights_of(self.judged())
        self.at.epoch += 1
        self.at.batch, self.at.loss_sum = 0, 0.0
        if self.team.leads:
            self.save()
        task.describe(_describe(row, self.plan.epochs))
        if self.watch:
            self.watch(row)

    def step(self, chosen: NDArray[np.int64]) -> None:
        """One batch: augment, predict, learn, and move the EMA."""
        rng = batches.step_rng(self.plan.seed, self.at.step)
        mine = self.team.part(len(chosen))  # the whole batch is drawn for, so that its images are the same for any team
        images = batches.as_images(self.augment(self.pixels.take(chosen), rng)[mine], self.device)
        seed(int(rng.integers(2**62)) + self.team.rank, self.device)
        self.set_rates()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.choice.precision == "bfloat16"):
            logits = self.model(images)
        rows = torch.from_numpy(chosen[mine])
        loss = soft_cross_entropy(logits, self.targets[rows].to(self.device), self.supported[rows].to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        value = self.team.combine(self.model, loss, len(rows) / len(chosen))
        self.at.require_number("loss", value, hint=self.slower())
        self.at.require_number("gradient", clip(self.model), hint=self.slower())
        self.optimizer.step()
        if self.averaged is not None:
            move_mean(
                self.averaged, self.model, min(self.plan.average, (1 + self.at.step) / (MEAN_RISE + self.at.step))
            )
        self.at.loss_sum += value
        self.at.batch += 1
        self.at.step += 1

    def slower(self) -> str:
        """What to try when numbers run away."""
        return f"Lower the rate: --set training.lr={self.plan.lr / 5:g}"

    def set_rates(self) -> None:
        """Learning rates of this step: one cycle for the head alone, another for all layers."""
        head_steps = min(self.plan.head_epochs, self.plan.epochs) * self.per_epoch
        all_steps = self.plan.epochs * self.per_epoch - head_steps
        step = self.at.step
        share = one_cycle(step, head_steps) if step < head_steps else one_cycle(step - head_steps, all_steps)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share

    def row(self, head_only: bool, n_batches: int) -> dict[str, Any]:
        """What there is to say about the epoch that just ended."""
        found: dict[str, Any] = {
            "epoch": self.at.epoch + 1,
            "phase": "head" if head_only else "all",
            "train_loss": self.at.loss_sum / n_batches,
            "valid_loss": None,
            "accuracy": None,
            "macro_f1": None,
            "rate": max(float(group["lr"]) for group in self.optimizer.param_groups),
        }
        if len(self.data.valid):
            logits = self.logits(self.judged(), f"Judging epoch {self.at.epoch + 1}/{self.plan.epochs}", self.judges)
            found["valid_loss"] = validation.loss(logits, self.data, self.judges)
            self.at.require_number("validation loss", found["valid_loss"], hint=self.slower())
            found |= validation.scores(logits, self.data, self.judges)
        return found

    def logits(
        self, model: Classifier, title: str, chosen: NDArray[np.int64], *, mirrored: bool = False
    ) -> NDArray[np.float32]:
        """Logits (v, k) of the samples ``chosen`` (v,) or of their mirror images, with a bar called ``title``."""
        return validation.logits(
            model,
            self.pixels,
            chosen,
            device=self.device,
            team=self.team,
            mirrored=mirrored,
            progress=self.progress,
            title=title,
        )

    def mirrored(self, model: Classifier) -> NDArray[np.float32] | None:
        """Logits (v, k) of the mirror images of the validation samples, where such images say the same."""
        if not COLORS[self.plan.color].mirrors:
            return None
        return self.logits(model, "Judging the model on mirror images", self.data.valid, mirrored=True)

    def save(self) -> None:
        """Write the state of the run."""
        now = time.monotonic()
        self.at.seconds += now - self.clock
        self.clock = now
        state.save(
            self.folder,
            self.at,
            model=self.model,
            averaged=self.averaged,
            optimizer=self.optimizer,
            best=self.best,
        )


@contextmanager
def _own_generator() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


def _describe(row: dict[str, Any], epochs: int) -> str:
    text = f"Epoch {row['epoch']}/{epochs}  loss {row['train_loss']:.3f}"
    if row["valid_loss"] is not None:
        text += f"  valid {row['valid_loss']:.3f}  accuracy {row['accuracy']:.1%}"
    return text
