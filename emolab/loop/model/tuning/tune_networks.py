"""Networks in a search for settings: what may be tried, what their starts have learned, and one training of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from emolab.errors import ConfigError
from emolab.progress import SILENT

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from emolab.config import TrainingConfig
    from emolab.loop.model.tuning.tune_material import TuneMaterial
    from emolab.progress import Progress
    from emolab.stats.search_space import Alone, SearchSpace
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.training.runs.recipes import Plan
    from emolab.workspace import Workspace


def plan_of(workspace: Workspace, media: Callable[[str], Path], data: TrainingSet) -> tuple[Plan, TrainingConfig]:
    """The plan of the workspace's settings for ``data``, and those settings with the weights that they start from.

    Raises :class:`ConfigError` for teachers, who have learned what is to judge.
    """
    from emolab.loop.model.training_run import start_settings
    from emolab.modalities.modality import open_modality
    from emolab.training.runs import recipes

    config = start_settings(workspace, SILENT)
    if config.teacher:
        raise ConfigError(
            "Teachers (training.teacher) have learned the very samples that settings are judged by here.",
            hint="Search without: --set training.teacher=",
        )
    color = open_modality(workspace.config.project.modality).color([*map(media, data.ids)])
    return recipes.plan(config, n_train=len(data.train), color=color), config


def space_of(workspace: Workspace, material: TuneMaterial) -> tuple[SearchSpace, Alone]:
    """What may be tried for a network, and what counts alone."""
    from emolab.training.runs.network_space import network_space

    plan, _ = plan_of(workspace, material.media, material.data)
    return network_space(workspace.config.training, plan)


def usable(workspace: Workspace, data: TrainingSet, media: Callable[[str], Path], progress: Progress) -> TrainingSet:
    """``data`` without samples whose files are damaged, where the settings leave such out."""
    from emolab.training.inputs.usable_samples import unusable

    plan, _ = plan_of(workspace, media, data)
    found = unusable(workspace, data.ids, media, plan.preprocessing.plain, progress=progress)
    return data.without(found) if found else data


def learned_by_start(
    workspace: Workspace, data: TrainingSet, media: Callable[[str], Path], progress: Progress
) -> NDArray[np.bool_]:
    """Which samples (n,) of ``data`` a network has learned, with their answers, that some training here starts from."""
    from emolab.stats.search_space import OneOf
    from emolab.training.learned import ancestry, fingerprints, learned_images
    from emolab.training.runs.network_space import network_space

    plan, config = plan_of(workspace, media, data)
    values = network_space(workspace.config.training, plan)[0].get("training.backbone")
    networks = set(values.values) if isinstance(values, OneOf) else {plan.backbone}
    records = [ancestry.of_start(plan.backbone, config.weights)]
    records += [ancestry.of_start(name, "default") for name in sorted(networks - {plan.backbone})]
    prints = fingerprints.fill(workspace.cache, data.ids, media, progress=progress)
    return learned_images.together(records).answers.has(prints)


def logits_of(
    workspace: Workspace, material: TuneMaterial, *, fold: int, share: float, folder: Path, progress: Progress
) -> NDArray[np.float32]:
    """Logits (h, k) of the samples that judge in ``fold``, by ``workspace``'s settings with that share of work.

    Of a network that learns by steps, the share is of its epochs; a head is solved at once, whatever the share.
    """
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.training.judging.held_out import held_out_logits

    data = material.data
    held, rows = material.held(fold), material.learned(fold)
    learn, chooses = material.epoch_part(rows)
    order = [*learn.tolist(), *chooses.tolist(), *held.tolist()]
    part = TrainingSet(
        classes=data.classes,
        ids=tuple(data.ids[i] for i in order),
        targets=data.targets[order],
        supported=data.supported[order],
        hard=data.hard[order],
        train=_span(0, len(learn)),
        valid=_span(len(learn), len(chooses)),
    )
    plan, _ = plan_of(workspace, material.media, part)
    if plan.mode == "head":
        part = replace(part, train=_span(0, len(rows)))
    else:
        epochs = max(1, round(plan.epochs * share))
        plan = replace(plan, epochs=epochs, head_epochs=min(plan.head_epochs, epochs - 1))
    judged = _span(len(rows), len(held))
    return held_out_logits(workspace, plan, part, judged=judged, media=material.media, folder=folder, progress=progress)


def _span(start: int, n: int) -> NDArray[np.int64]:
    import numpy as np

    return np.arange(start, start + n, dtype=np.int64)
