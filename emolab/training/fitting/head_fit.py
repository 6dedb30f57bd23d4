"""Training without the backbone: its features from the cache, and the head solved on them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from emolab.errors import DataError
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.stats import logistic
from emolab.training.fitting import head_start
from emolab.training.fitting.devices import cpu_threads, pick_device
from emolab.training.fitting.fitted import Fitted
from emolab.training.inputs import feature_cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan


def fit_head(pixels: Pixels, data: TrainingSet, plan: Plan, folder: Path, *, progress: Progress = SILENT) -> Fitted:
    """The backbone as it is and the best head for it on ``data``; features are kept below ``folder``.

    The penalty is chosen on the training samples alone. Solved, not stepped: an interrupted run starts over, at the
    images not embedded yet, and ends with the same weights. Raises :class:`DataError` for a backbone without weights.
    """
    began = time.monotonic()
    built = backbones.build(plan.backbone, plan.weights, size=plan.size)
    if backbones.is_random(plan.backbone, plan.weights, built.module):
        raise DataError(
            f"training.mode is head, but the backbone {plan.backbone} would start from random weights.",
            hint="Use a trained one: --set training.weights=champion, or --set training.backbone=face48.",
        )
    with cpu_threads(plan.threads):
        network = Classifier(built, len(data.classes), dropout=0.0)
        rows = head_start.known(network, data.classes, plan)
        network = network.to(pick_device(plan.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        wanted = Preprocessing(plan.size, plan.color)
        found = feature_cache.fill(
            folder, data.ids, pixels, network, name=plan.backbone, wanted=wanted, progress=progress
        )
        with progress.task("Solving the head", None) as task:
            features = found.take(data.train)
            solved, trials = logistic.solve(
                features,
                data.targets[data.train],
                supported=data.supported[data.train],
                seed=plan.seed,
                known=rows,
            )
            task.advance()
    head_start.take(network, solved)
    logits = solved.logits(found.take(data.valid))
    return Fitted(
        weights=state.weights_of(network),
        logits=logits.astype(np.float32),
        history=[
            {
                "epoch": number,
                "phase": "penalty",
                "penalty": trial.penalty,
                "train_loss": trial.train,
                "held_loss": trial.held,
            }
            for number, trial in enumerate(trials, start=1)
        ],
        best_epoch=[trial.penalty for trial in trials].index(solved.penalty),
        seconds=time.monotonic() - began,
        mean=built.mean,
        std=built.std,
        mismatches=built.mismatches,
        precision="float32",
        parameters=sum(p.numel() for p in network.parameters()),
        solved={"penalty": solved.penalty, "steps": solved.steps, "gradient": solved.gradient},
    )
