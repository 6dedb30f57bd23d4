"""Learning from images alone: a backbone that has to say, from a distorted view, what the undistorted image looks like.

What it has to say are the histograms of gradients of the image, as in MaskFeat (Wei et al. 2022, "Masked feature
prediction for self-supervised visual pre-training"); here they are asked of the whole image, as principal components,
and the view is turned, shifted, lit differently and in part erased instead of masked. The loop keeps its state as
:mod:`emolab.training.fitting.fit` does: one per epoch, and the same weights however often it was stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emolab.progress import SILENT, Progress, Task
from emolab.training.augment import warp
from emolab.training.fitting import tuning
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.fitting.devices import cpu_threads, pick_device
from emolab.training.fitting.optimizer import clip, decay_groups
from emolab.training.fitting.schedule import one_cycle
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.networks.hog import Hog
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan

#: Pixels per side of what is asked for: larger images are reduced to it.
SIDE = 48
#: Principal components that are asked for, and images they are found on.
COMPONENTS, SAMPLE = 192, 4096
#: Between 0 (as large as they are) and 1 (all components count alike).
WHITENED = 0.5


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A finished run: ``weights`` of the backbone by name, one row of ``history`` per epoch."""

    weights: dict[str, Tensor]
    history: list[dict[str, Any]]
    seconds: float


class Drawing(nn.Module):
    """An image in a few numbers: (n, c, h, w) bytes -> (n, q), principal components of its gradients."""

    mean: Tensor
    basis: Tensor

    def __init__(self, images: Tensor, wanted: int = COMPONENTS) -> None:
        super().__init__()
        self.hog = Hog()
        found = self.gradients(images).double()
        mean = found.mean(dim=0)
        centred = found - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(found))
        q = min(wanted, len(found) - 1, len(values))
        spread = values[-q:].clamp_min(1e-12).sqrt()
        kept = spread ** (1 - WHITENED)
        self.register_buffer("mean", mean.float())
        self.register_buffer("basis", (vectors[:, -q:] / spread**WHITENED / kept.square().mean().sqrt()).float())

    def gradients(self, images: Tensor) -> Tensor:
        """All histograms (n, d) of ``images``, reduced to 48 pixels where they are larger."""
        small = images.float()
        if images.shape[-1] > SIDE:
            small = functional.interpolate(small, size=(SIDE, SIDE), mode="area")
        found: Tensor = self.hog(small)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Numbers (n, q) with a mean square of 1 on the images they were found on."""
        return (self.gradients(images) - self.mean) @ self.basis


def pretrain(
    pixels: Pixels, plan: Plan, folder: Path, *, progress: Progress = SILENT, choices: Path | None = None
) -> Pretrained:
    """Train the backbone of ``plan`` from random weights on ``pixels`` alone; its state is kept in ``folder``.

    Continues from the newest state there. ``choices`` is a file that remembers the quickest ways to compute a step
    (:mod:`emolab.training.fitting.tuning`). Raises :class:`EmolabError` when the loss stops being a number.
    """
    if plan.tuning:
        keep_freed_memory()
    with torch.random.fork_rng(), cpu_threads(plan.threads):
        return _Run(pixels, plan, folder, progress, choices).finish()


class _Run:
    """State between the steps of one run."""

    def __init__(self, pixels: Pixels, plan: Plan, folder: Path, progress: Progress, choices: Path | None) -> None:
        self.pixels, self.plan, self.folder, self.progress = pixels, plan, folder, progress
        self.device = pick_device(plan.device)
        torch.manual_seed(plan.seed)
        some = np.random.default_rng(plan.seed).permutation(len(pixels))[:SAMPLE]
        self.drawing = Drawing(batches.as_images(pixels.take(some), torch.device("cpu")))
        built = backbones.build(plan.backbone, "none", size=plan.size)
        network = Classifier(built, self.drawing.basis.shape[1], dropout=0.0)
        self.per_epoch = batches.count(len(pixels), plan.batch)
        self.choice = tuning.settle(
            network,
            lambda: pixels.take(np.arange(min(plan.batch, len(pixels)))),
            plan,
            folder,
            device=self.device,
            steps=plan.epochs * self.per_epoch,
            known=choices,
        )
        self.network = self.choice.lay_out(network, self.device)
        self.model = nn.ModuleDict({"network": self.network, "drawing": self.drawing.to(self.device)})
        groups = decay_groups(list(self.network.parameters()), lr=plan.lr, weight_decay=plan.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=plan.lr)
        self.at, _ = state.take_over(
            folder, warn=progress.warn, model=self.model, averaged=None, optimizer=self.optimizer
        )
        self.clock = time.monotonic()

    def finish(self) -> Pretrained:
        """Run the epochs that are left; the backbone's weights."""
        left = (self.plan.epochs - self.at.epoch) * self.per_epoch - self.at.batch
        self.network.train()
        with self.progress.task("Pretraining", max(0, left), unit="steps") as task:
            while self.at.epoch < self.plan.epochs:
                self.epoch(task)
        weights = state.weights_of(self.network.backbone)
        return Pretrained(weights=weights, history=self.at.history, seconds=self.at.seconds)

    def epoch(self, task: Task) -> None:
        """Train one epoch, or the rest of it, and save."""
        parts = batches.epoch_batches(len(self.pixels), self.plan.batch, seed=self.plan.seed, epoch=self.at.epoch)
        for part in parts[self.at.batch :]:
            self.step(part)
            task.advance()
            if time.monotonic() - self.clock > state.SAVE_EVERY and self.at.batch < len(parts):
                self.save()
        loss = self.at.loss_sum / len(parts)
        self.at.history.append({"epoch": self.at.epoch + 1, "loss": loss})
        self.at.epoch += 1
        self.at.batch, self.at.loss_sum = 0, 0.0
        self.save()
        task.describe(f"Epoch {self.at.epoch}/{self.plan.epochs}  loss {loss:.3f}")

    def step(self, chosen: NDArray[np.int64]) -> None:
        """One batch: distort every image, and learn to say what it looked like (mirrored where the view is)."""
        rng = batches.step_rng(self.plan.seed, self.at.step)
        images = self.pixels.take(chosen)
        maps = warp.affine_maps(rng, len(images), images.shape[1:3], strength=self.plan.strength)
        views = warp.distort(images, maps, rng, strength=self.plan.strength)
        mirrored = np.linalg.det(maps[:, :, :2]) < 0
        images[mirrored] = images[mirrored, :, ::-1]
        with torch.no_grad():
            wanted = self.drawing(batches.as_images(images, self.device))
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.lr * one_cycle(self.at.step, self.plan.epochs * self.per_epoch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.choice.precision == "bfloat16"):
            said = self.network(batches.as_images(views, self.device))
        loss = functional.mse_loss(said, wanted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        hint = "Try full precision: --set training.precision=float32"
        self.at.require_number("loss", value, hint=hint)
        self.at.require_number("gradient", clip(self.network), hint=hint)
        self.optimizer.step()
        self.at.loss_sum += value
        self.at.batch += 1
        self.at.step += 1

    def save(self) -> None:
        """Write the state of the run."""
        now = time.monotonic()
        self.at.seconds += now - self.clock
        self.clock = now
        state.save(self.folder, self.at, model=self.model, averaged=None, optimizer=self.optimizer, best={})
