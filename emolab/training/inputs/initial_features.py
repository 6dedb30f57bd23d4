"""Features that have not seen a project's labels: those of the backbone its model started from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.catalog import models as catalog_models
from emolab.errors import DataError
from emolab.inference import model_document
from emolab.inference.model_document import Checkpoint
from emolab.progress import SILENT, Progress
from emolab.records import Model
from emolab.training import checkpoint
from emolab.training.fitting import head_start
from emolab.training.fitting.devices import pick_device
from emolab.training.inputs import feature_cache, pixel_cache, speaker_tables
from emolab.training.judging.opponent import BROUGHT
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan
from emolab.workspace import Workspace

Known = tuple[NDArray[np.float64], NDArray[np.float64]]


def frozen(
    workspace: Workspace,
    model: Model,
    ids: Sequence[str],
    media: Callable[[str], bytes | Path],
    *,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.float32], Known | None]:
    """Features (n, d) of the samples ``ids`` by the backbone ``model`` started from, and the head that came with it.

    A fine-tuned backbone knows the labels it was tuned on, so nothing measured on its features tells what labels are
    worth. Where ``model`` started from an earlier one of the workspace, that one's start is meant, and so on. Features
    are kept, as for ``training.mode = head``. Raises :class:`DataError` where the start was random.
    """
    first, weights = _start(workspace, model_document.describe(workspace.root / model.path))
    plan = replace(Plan(**first.plan), weights=weights)
    built = backbones.build(plan.backbone, plan.weights, size=plan.size)
    if backbones.is_random(plan.backbone, plan.weights, built.module):
        raise DataError(
            f"The champion's backbone {plan.backbone} learnt all it knows from these labels, so its features cannot "
            "tell what further labels are worth.",
            hint="Train on one that comes with knowledge: emolab train --set training.backbone=face48",
        )
    network = Classifier(built, len(model.classes), dropout=0.0)
    known = head_start.known(network, model.classes, plan)
    network = network.to(pick_device(plan.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    wanted = first.preprocessing
    if wanted.normalised_by:
        pixels = speaker_tables.filled(workspace, ids, wanted, progress=progress)
    else:
        pixels = pixel_cache.fill(workspace.cache, ids, media, wanted, progress=progress)
    found = feature_cache.fill(
        workspace.cache, ids, pixels, network, name=plan.backbone, wanted=wanted, progress=progress
    )  # fmt: skip
    return found.take(np.arange(len(ids), dtype=np.int64)), known


def _start(workspace: Workspace, described: Checkpoint) -> tuple[Checkpoint, str]:
    """The model of the workspace that ``described`` goes back to, possibly itself, and the weights that one began with.

    A model keeps the hash of the weights it began with, not where they lay: they are looked for among the workspace's
    models and at ``training.weights``. A model that came from elsewhere has not seen the project's labels: it is its
    own start.
    """
    with workspace.catalog() as catalog, catalog.connect() as conn:
        brought = {model.id for model in catalog_models.list_all(conn) if BROUGHT in model.metrics}
    models = {
        json.loads(file.read_text(encoding="utf-8")).get(checkpoint.SEAL): file.parent
        for file in workspace.models.glob(f"*/{model_document.DOCUMENT}")
    }
    while True:
        if described.id in brought:
            return described, str(workspace.models / described.id[:16] / checkpoint.WEIGHTS)
        weights = str(described.plan["weights"])
        name, _, digest = weights.partition(" sha256:")
        if not digest:
            return described, weights
        if digest not in models:
            break
        described = model_document.describe(models[digest])
    file = Path(workspace.config.training.weights).expanduser()
    if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest:
        return described, str(file)
    raise DataError(
        f"The champion began with the weights file {name}, and where that lies is not known.",
        hint="Name it: emolab suggest --advise --set training.weights=PATH",
    )
