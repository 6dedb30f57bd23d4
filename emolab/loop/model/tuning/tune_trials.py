"""One training of one combination of settings on one fold, whatever is trained."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.modalities.own_models import Learner, own_learner, own_space
from emolab.stats.search_space import Alone, OneOf, SearchSpace

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.loop.model.tuning.tune_material import TuneMaterial
    from emolab.progress import Progress
    from emolab.workspace import Workspace


def trial_space(workspace: Workspace, material: TuneMaterial) -> tuple[SearchSpace, Alone]:
    """What may be tried in ``workspace``, and what counts alone. Raises :class:`DataError` where there is nothing."""
    config = workspace.config
    found: SearchSpace = own_space(config.project.modality, config.training)
    alone: Alone = {}
    if not found:
        from emolab.loop.model.tuning.tune_networks import space_of

        found, alone = space_of(workspace, material)
    if not any(not isinstance(values, OneOf) or len(values.values) > 1 for values in found.values()):
        raise DataError(
            f"With these settings (training.mode = {config.training.mode}) there is nothing to try.",
            hint="Let all layers learn: --set training.mode=full",
        )
    return found, alone


def whole_share(workspace: Workspace, settings: Mapping[str, Any]) -> bool:
    """Whether ``settings`` always do the whole work: a network's head is solved, not stepped."""
    config = workspace.config
    own = own_learner(config.project.modality, config.training.weights) is not None
    return not own and settings.get("training.mode", config.training.mode) == "head"


def try_out(
    workspace: Workspace,
    settings: Mapping[str, Any],
    material: TuneMaterial,
    *,
    fold: int,
    share: float,
    folder: Path,
    progress: Progress,
) -> NDArray[np.float32]:
    """Logits (h, k) of the samples that judge in ``fold``, learned with ``settings`` and that share of the work.

    What it needs on disk meanwhile is in ``folder``. The fold's number is added to the seed, so that the spread over
    folds holds that of the training too.
    """
    seed = workspace.config.training.seed + fold
    tried = workspace.with_settings({**settings, "training.seed": seed})
    config = tried.config
    learner = own_learner(config.project.modality, config.training.weights)
    if learner is not None:
        return _by_learner(tried, learner, material, fold=fold, share=share, progress=progress)
    from emolab.loop.model.tuning.tune_networks import logits_of

    told = json.dumps([dict(settings), fold, share], sort_keys=True)
    place = folder / hashlib.sha256(told.encode()).hexdigest()[:16]
    for other in folder.glob("*"):
        if other != place:
            shutil.rmtree(other)  # of a training that was stopped, and that nobody asks for now
    found = logits_of(tried, material, fold=fold, share=share, folder=place, progress=progress)
    shutil.rmtree(place, ignore_errors=True)
    return found


def _by_learner(
    workspace: Workspace, learner: Learner, material: TuneMaterial, *, fold: int, share: float, progress: Progress
) -> NDArray[np.float32]:
    """By what the modality learns itself; the share is of the samples."""
    data = material.data
    rows, held = material.learned(fold, share), material.held(fold)
    learnt = learner(
        [material.media(data.ids[i]) for i in rows],
        data.targets[rows],
        data.classes,
        supported=data.supported[rows],
        groups=[str(unit) for unit in material.units[rows].tolist()],
        config=workspace.config.training,
        progress=progress,
    )
    said, errors = learnt.model.answers([material.media(data.ids[i]) for i in held])
    probs = said.astype(np.float64)
    probs[list(errors)] = 1.0
    logits: NDArray[np.float32] = np.log(np.maximum(probs, 1e-9)).astype(np.float32)
    return logits
