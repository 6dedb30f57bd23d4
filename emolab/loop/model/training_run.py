"""Which training is carried on or begun: its data, its plan and its snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.loop.model.shortage import before_training
from emolab.loop.model.training_material import training_material
from emolab.loop.sample_files import media_of
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emolab.config import TrainingConfig
    from emolab.progress import Progress
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.training.runs.recipes import Plan
    from emolab.training.runs.runs import Run
    from emolab.workspace import Workspace


def choose(workspace: Workspace, progress: Progress, *, resume: bool, device: str | None) -> Run:
    """The run to carry on or to begin, and a note on which it is."""
    from dataclasses import replace

    from emolab.errors import DataError
    from emolab.training.runs import runs

    unfinished, stopped = None, 0
    try:
        unfinished = runs.unfinished(workspace)
        stopped = unfinished.epochs_done() if unfinished else 0
    except DataError as error:
        if resume:
            raise
        progress.warn(f"An earlier run is of no use and left alone: {error.message}")
    if resume:
        if unfinished is None:
            raise DataError("There is no unfinished run to go on with.", hint="Start one with: emolab train")
        if reasons := barred_since(workspace, unfinished.data.ids):
            raise DataError(
                f"The unfinished run learns from samples that nothing may learn from any more: {reasons}.",
                hint="Begin a new one without them: emolab train",
            )
        run = replace(unfinished, plan=replace(unfinished.plan, device=device)) if device else unfinished
    else:
        run = begin(workspace, progress)
    done = run.epochs_done()
    if done:
        progress.note(f"Going on after epoch {done} of {run.plan.epochs}.")
    elif unfinished is not None and unfinished.folder != run.folder and stopped:
        progress.note(
            f"An earlier run with other data or settings stopped after epoch {stopped} of "
            f"{unfinished.plan.epochs}; this is a new one (the earlier one: emolab train --resume)."
        )
    return run


def barred_since(workspace: Workspace, ids: Sequence[str]) -> str:
    """Why some samples of a run that began earlier may not be learned from now, counted; "" where all may."""
    from collections import Counter

    from emolab.catalog import samples
    from emolab.catalog.privacy import consents
    from emolab.records import HOLDOUT

    with workspace.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required)
        splits = samples.splits(conn, ids)
    reasons = Counter(may.left_out(ids))
    reasons["taken out"] += len(set(ids) - splits.keys())
    reasons["in the holdout"] += sum(split == HOLDOUT for split in splits.values())
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items()) if n)


def begin(workspace: Workspace, progress: Progress) -> Run:
    """Labels as of now, splits filled, a snapshot taken, and the run they and the settings define."""
    from emolab.training.inputs import media_check
    from emolab.training.inputs.training_set import require_classes
    from emolab.training.runs import runs

    data, version = training_material(workspace, progress)
    require_classes(data)
    for line in before_training(data.composition()):
        progress.warn(line)
    media_check.leaves_out(workspace.config.training.damaged)
    config = start_settings(workspace, progress)
    plan, data, taught = _plan(workspace, config, data, progress)
    run = runs.begin(workspace, plan, data, taught=taught)
    take_snapshot(workspace, run.data, version)
    return run


def start_settings(workspace: Workspace, progress: Progress) -> TrainingConfig:
    """The settings with the weights that training starts from: published, the champion's or pretrained ones."""
    from emolab.training.pretraining import workspace_pretraining
    from emolab.training.runs import champion_start

    config, champion_id = champion_start.resolve(workspace, workspace.config.training)
    if champion_id:
        progress.note(f"Starting from the {config.backbone} of the champion {short(champion_id)}.")
    config, start = workspace_pretraining.resolve(workspace, config)
    if start:
        progress.note(f"Starting from the {config.backbone} pretrained on {many(start.images, 'image')}.")
    return config


def _plan(
    workspace: Workspace, config: TrainingConfig, data: TrainingSet, progress: Progress
) -> tuple[Plan, TrainingSet, Callable[[TrainingSet], TrainingSet] | None]:
    """The plan for ``data`` without its damaged files, those data, and what mixes teachers' opinions in."""
    from dataclasses import replace

    from emolab.modalities.modality import open_modality
    from emolab.training.inputs.training_set import require_classes
    from emolab.training.inputs.usable_samples import unusable
    from emolab.training.runs import recipes

    media = media_of(workspace)
    color = open_modality(workspace.config.project.modality).color([*map(media, data.ids)])
    plan = recipes.plan(config, n_train=len(data.train), color=color)
    taught = None
    if plan.teacher:
        plan, taught = _teaching(workspace, plan, progress)
    damaged = unusable(
        workspace,
        data.ids,
        media,
        plan.preprocessing.plain,
        fingerprinted=True,
        learn=() if plan.mode == "head" or plan.preprocessing.normalised_by else {data.ids[i] for i in data.train},
        progress=progress,
    )
    if damaged:
        data = data.without(damaged)
        require_classes(data)
        plan = replace(recipes.plan(config, n_train=len(data.train), color=color), teacher=plan.teacher)
    return plan, data, taught


def take_snapshot(workspace: Workspace, data: TrainingSet, version: str) -> None:
    """Keep which samples, labels and splits this training sees."""
    import numpy as np

    from emolab.provenance import snapshots

    names = np.array([""] * len(data.ids), dtype=object)
    names[data.train], names[data.valid] = "train", "valid"
    with workspace.catalog() as catalog, catalog.begin() as tx:
        snapshots.take(
            workspace,
            tx,
            classes=data.classes,
            ids=data.ids,
            targets=data.targets,
            splits=list(names),
            supported=data.supported,
            label_version=version,
        )


def _teaching(
    workspace: Workspace, plan: Plan, progress: Progress
) -> tuple[Plan, Callable[[TrainingSet], TrainingSet]]:
    """``plan`` with its teachers' ids in place of the names they have today, and what mixes their opinions in."""
    from dataclasses import replace
    from functools import partial

    from emolab.errors import ConfigError
    from emolab.inference import model_document
    from emolab.loop.model.models import folder_in
    from emolab.training.fitting import distillation

    names = [name.strip() for name in plan.teacher.split(",")]
    if not all(names):
        raise ConfigError(
            f'training.teacher is "{plan.teacher}"; expected names of models with commas between them.',
            hint="For example --set training.teacher=champion; the models there are: emolab models list",
        )
    folders = [folder_in(workspace, name) for name in names]
    ids = [model_document.describe(folder).id for folder in folders]
    progress.note(f"Learning from the votes and, by {plan.teacher_share:.0%}, from {', '.join(map(short, ids))}.")
    taught = partial(
        distillation.taught,
        teachers=folders,
        share=plan.teacher_share,
        media=media_of(workspace),
        folder=workspace.cache,
        config=workspace.config.training,
        progress=progress,
    )
    return replace(plan, teacher=",".join(ids)), taught
