"""What a network says of samples that took no part at all in its training, not even in choosing its epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.inference import probabilities
from emolab.progress import SILENT, Progress
from emolab.training.fitting import tuning, validation
from emolab.training.fitting.devices import cpu_threads, pick_device
from emolab.training.fitting.distributed import ALONE
from emolab.training.fitting.fit import fit
from emolab.training.fitting.fitted import Fitted
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs import pixel_cache, speaker_tables
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan
from emolab.workspace import Workspace


def held_out_logits(
    workspace: Workspace,
    plan: Plan,
    data: TrainingSet,
    *,
    judged: NDArray[np.int64],
    media: Callable[[str], Path],
    folder: Path,
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Logits (j, k) of the samples ``judged`` (j,) of ``data``, by a network that ``plan`` makes of the others.

    It learns from ``data.train``; ``data.valid`` chooses its epoch. A training that was stopped goes on from its state
    in ``folder``. Raises :class:`EmolabError` where its loss is no number.
    """
    pixels = _pixels(workspace, plan, data, judged=judged, media=media, progress=progress)
    if plan.mode == "head":
        return fit_head(pixels, replace(data, valid=judged), plan, workspace.cache, progress=progress).logits
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit(pixels, data, plan, folder, progress=progress, choices=workspace.cache / tuning.FILE)
    return _answers(fitted, pixels, plan, len(data.classes), judged)


def _pixels(
    workspace: Workspace,
    plan: Plan,
    data: TrainingSet,
    *,
    judged: NDArray[np.int64],
    media: Callable[[str], Path],
    progress: Progress,
) -> Pixels:
    """Pictures in the order of ``data.ids``; those that judge are decoded in full, as for predictions."""
    wanted = plan.preprocessing
    if wanted.normalised_by:
        return speaker_tables.filled(workspace, data.ids, wanted, progress=progress)
    if plan.mode == "head":
        return pixel_cache.fill(workspace.cache, data.ids, media, wanted, progress=progress)
    shown = replace(data, valid=np.concatenate([data.valid, judged]))
    return pixel_cache.fill_to_train(workspace.cache, shown, media, wanted, progress=progress)


def _answers(
    fitted: Fitted, pixels: Pixels, plan: Plan, classes: int, judged: NDArray[np.int64]
) -> NDArray[np.float32]:
    with cpu_threads(plan.threads):
        model = Classifier(backbones.build(plan.backbone, plan.weights, size=plan.size), classes, dropout=0.0)
        model.load_state_dict(fitted.weights)
        device = pick_device(plan.device)
        model.to(device)
        alone = validation.logits(model, pixels, judged, device=device, team=ALONE)
        if not plan.flips:
            return alone
        other = validation.logits(model, pixels, judged, device=device, team=ALONE, mirrored=True)
    return probabilities.together(alone, other)
