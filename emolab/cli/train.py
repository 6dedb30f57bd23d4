"""``emolab train``: a model from the current labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, device_option, workspace_command
from emolab.cli.ui.shortage import before_training
from emolab.words import many, short

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.training.fitting.distributed import Team
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.training.runs.recipes import Plan
    from emolab.training.runs.runs import Run
    from emolab.training.train_model import Trained
    from emolab.workspace import Workspace


@click.command(short_help="Train a model on the current labels.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run, on the data and settings it began with.")
@device_option
@workspace_command
def train(session: Session, resume: bool, device: str | None) -> None:
    """Fine-tune a network on the vote distributions of the labelled samples, calibrate it and write a report.

    Samples without a split get one (80 % train, 20 % valid; copies and groups stay together). Settings are those of
    [training]: --set training.backbone=mobilenet_v2, training.weights=PATH, training.epochs=20 and so on. A stopped
    run goes on when the same command is run again; --resume goes on even when votes or settings changed meanwhile.
    """
    if resume:
        _refuse_settings(session.overrides)
    if device:
        session.overrides += (f"training.device={device}",)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from emolab.cli.train_team import train_together

        trained = train_together(session, resume=resume, device=device)
        if trained is None:
            return
    else:
        trained = train_run(session.workspace, resume=resume, device=device, progress=session.progress)
    session.emit(data(trained))
    _show(session, trained)


def _refuse_settings(overrides: tuple[str, ...]) -> None:
    """Raise :class:`ConfigError` for settings of a resumed training, which has its own."""
    from emolab.errors import ConfigError

    vain = [text for text in overrides if text.startswith("training.") and not text.startswith("training.tensorboard=")]
    if vain:
        raise ConfigError(
            f"--resume goes on with the settings the run began with; --set {vain[0]} would change nothing.",
            hint="Leave it out (--device moves a run), or leave out --resume to begin a new run.",
        )


def train_workspace(workspace: Workspace, *, resume: bool = False, progress: Progress | None = None) -> Model:
    """Train on the workspace's current labels with its settings; the stored model. See :func:`train_run`."""
    return train_run(workspace, resume=resume, progress=progress).model


def train_run(
    workspace: Workspace,
    *,
    resume: bool = False,
    device: str | None = None,
    progress: Progress | None = None,
    team: Team | None = None,
) -> Trained:
    """Train on the current labels, aggregating votes first, or go on with the unfinished run.

    A resumed run goes on where it was trained, or on ``device``. The leader of a ``team`` calls this.
    Raises :class:`DataError` when there is nothing to train on or, with ``resume``, nothing to go on with.
    """
    from emolab.errors import MissingExtra
    from emolab.progress import SILENT

    progress = progress or SILENT
    try:
        from emolab.training import train_model as models
        from emolab.training.fitting.distributed import ALONE
        from emolab.training.runs.disk_full import room
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    with room():
        team, begun = team or ALONE, None
        try:
            with workspace.lock("train"):
                run = _choose(workspace, progress, resume=resume, device=device)
            begun = run.folder.name
        finally:
            team.agree({"run": begun})
        return models.train(
            workspace,
            run,
            media_of(workspace),
            tensorboard=workspace.config.training.tensorboard,
            progress=progress,
            team=team,
        )


def _choose(workspace: Workspace, progress: Progress, *, resume: bool, device: str | None) -> Run:
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
        run = replace(unfinished, plan=replace(unfinished.plan, device=device)) if device else unfinished
    else:
        run = _prepare(workspace, progress)
    done = run.epochs_done()
    if done:
        progress.note(f"Going on after epoch {done} of {run.plan.epochs}.")
    elif unfinished is not None and unfinished.folder != run.folder and stopped:
        progress.note(
            f"An earlier run with other data or settings stopped after epoch {stopped} of "
            f"{unfinished.plan.epochs}; this is a new one (the earlier one: emolab train --resume)."
        )
    return run


def _prepare(workspace: Workspace, progress: Progress) -> Run:
    """Labels as of now, splits filled, a snapshot taken, and the run they and the settings define."""
    from dataclasses import replace

    import numpy as np

    from emolab.modalities.image.decode import Preprocessing
    from emolab.provenance import snapshots
    from emolab.training.inputs import media_check
    from emolab.training.inputs.training_set import require_classes
    from emolab.training.inputs.usable_samples import unusable
    from emolab.training.pretraining import workspace_pretraining as unlabelled
    from emolab.training.runs import champion_start as champion
    from emolab.training.runs import recipes, runs

    data, version = training_material(workspace, progress)
    require_classes(data)
    for line in before_training(data.composition()):
        progress.warn(line)
    media_check.leaves_out(workspace.config.training.damaged)
    config, champion_id = champion.resolve(workspace, workspace.config.training)
    if champion_id:
        progress.note(f"Starting from the {config.backbone} of the champion {short(champion_id)}.")
    config, start = unlabelled.resolve(workspace, config)
    if start:
        progress.note(f"Starting from the {config.backbone} pretrained on {many(start.images, 'image')}.")
    gray = config.color == "auto" and media_check.all_gray([*map(media_of(workspace), data.ids)])
    plan = recipes.plan(config, n_train=len(data.train), gray=gray)
    taught = None
    if plan.teacher:
        plan, taught = _teaching(workspace, plan, progress)
    damaged = unusable(
        workspace,
        data.ids,
        media_of(workspace),
        Preprocessing(plan.size, plan.color),
        fingerprinted=True,
        learn=() if plan.mode == "head" else {data.ids[i] for i in data.train},
        progress=progress,
    )
    if damaged:
        data = data.without(damaged)
        require_classes(data)
        plan = replace(recipes.plan(config, n_train=len(data.train), gray=gray), teacher=plan.teacher)
    run = runs.begin(workspace, plan, data, taught=taught)
    data = run.data
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
    return run


def training_material(workspace: Workspace, progress: Progress) -> tuple[TrainingSet, str]:
    """What there is to learn from by the votes as of now, its splits filled, and the version of the labels."""
    import numpy as np

    from emolab.catalog import samples
    from emolab.datasets.splits import assign as splits
    from emolab.labeling.labels.current_labels import current_labels
    from emolab.training.inputs.training_set import training_set

    labels = current_labels(workspace, progress=progress)
    classes = labels.classes
    hard = {sample: classes[i] for sample, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            report = splits.fill(tx, hard, without_valid="carve")
        if report.carved:
            what = f"{many(report.carved, 'sample')} went from train to valid"
            progress.note(f"Too little was held out to choose and judge models by, so {what}.")
        if report.assigned:
            parts = ", ".join(f"{n:,} {name}" for name, n in sorted(report.assigned.items()))
            progress.note(f"New in the splits: {parts}.")
        with catalog.connect() as conn:
            able = samples.supported(conn)
            found = samples.by_ids(conn, labels.samples)
    shown = {
        source: np.array([names is None or name in names for name in classes], dtype=bool)
        for source, names in able.items()
    }
    everything = np.ones(len(classes), dtype=bool)
    data = training_set(
        classes=classes,
        ids=labels.samples,
        probs=labels.probs,
        splits=[sample.split for sample in found],
        supported=np.stack([shown.get(sample.source, everything) for sample in found]),
        hard=labels.hard,
    )
    return data, labels.version


def _teaching(
    workspace: Workspace, plan: Plan, progress: Progress
) -> tuple[Plan, Callable[[TrainingSet], TrainingSet]]:
    """``plan`` with its teachers' ids in place of the names they have today, and what mixes their opinions in."""
    from dataclasses import replace
    from functools import partial

    from emolab.cli.models import folder_in
    from emolab.errors import ConfigError
    from emolab.training import checkpoint
    from emolab.training.fitting import distillation as teacher

    names = [name.strip() for name in plan.teacher.split(",")]
    if not all(names):
        raise ConfigError(
            f'training.teacher is "{plan.teacher}"; expected names of models with commas between them.',
            hint="For example --set training.teacher=champion; the models there are: emolab models list",
        )
    folders = [folder_in(workspace, name) for name in names]
    ids = [checkpoint.describe(folder).id for folder in folders]
    progress.note(f"Learning from the votes and, by {plan.teacher_share:.0%}, from {', '.join(map(short, ids))}.")
    taught = partial(
        teacher.taught,
        teachers=folders,
        share=plan.teacher_share,
        media=media_of(workspace),
        folder=workspace.cache,
        config=workspace.config.training,
        progress=progress,
    )
    return replace(plan, teacher=",".join(ids)), taught


def media_of(workspace: Workspace) -> Callable[[str], Path]:
    """The file of a sample by its id."""
    from emolab.catalog import samples

    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {sample.id: sample.media for sample in samples.iterate(conn)}
    return lambda sample: workspace.root / paths[sample]


def data(trained: Trained) -> dict[str, Any]:
    """What ``--json`` prints about a finished training."""
    model, metrics = trained.model, trained.checkpoint.metrics
    return {
        "model": model.id,
        "alias": trained.alias,
        "reason": trained.reason,
        "path": model.path,
        "report": trained.report,
        "snapshot": model.snapshot,
        "backbone": trained.checkpoint.backbone,
        "temperature": trained.checkpoint.temperature,
        "n_train": metrics["n_train"],
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "minutes": metrics["minutes"],
        "solved": metrics["solved"],
        "valid": metrics["valid"],
        "champion": trained.champion,
        "learned": metrics["learned"],
        "compared": metrics["compared"],
        "before_temperature": {k: metrics["before_temperature"][k] for k in ("nll", "ece", "brier")},
        "mismatches": trained.mismatches,
        "resumed_at": trained.resumed_at,
    }


def _how(metrics: Mapping[str, Any]) -> str:
    """How the weights came about, in words."""
    solved = metrics.get("solved")
    if solved:
        return f"head solved in {many(solved['steps'], 'step')} (penalty {solved['penalty']:.2g})"
    return f"{many(metrics['epochs'], 'epoch')} (kept {metrics['best_epoch']})"


def _champion(trained: Trained) -> str:
    """The champion of now by its id, and what it is where it was not trained here."""
    compared = trained.checkpoint.metrics["compared"] or {}
    reigned = compared.get("reigning", True)
    return short(trained.champion) if reigned else f"{compared['against']} ({short(trained.champion)})"


def _show(session: Session, trained: Trained) -> None:
    from emolab.cli.common import escape
    from emolab.cli.ui.comparison_table import show_comparison, show_learned
    from emolab.cli.ui.metrics_table import show_metrics

    model, metrics = trained.model, trained.checkpoint.metrics
    for line in trained.mismatches[:8]:
        session.say(f"[yellow]weights:[/] {escape(line)}")
    if len(trained.mismatches) > 8:
        session.say(f"[yellow]weights:[/] and {len(trained.mismatches) - 8} more; --json lists all of them")
    badge = "[bold green]champion[/]" if trained.alias == "champion" else "[bold yellow]candidate[/]"
    stays = "" if trained.champion == model.id else f"; the champion is {_champion(trained)}"
    session.say(
        f"[green]✓[/] model [bold]{short(model.id)}[/] is {badge}: {escape(trained.reason)}{stays}\n"
        f"  {trained.checkpoint.backbone}, {many(metrics['n_train'], 'sample')}, {_how(metrics)}, "
        f"{metrics['minutes']:.1f} min"
    )
    if metrics["valid"]["n"]:
        show_metrics(session, metrics["valid"], before=metrics["before_temperature"], title="On the validation samples")
    else:
        session.say("[yellow]No validation samples, so nothing is measured and the model is not calibrated.[/]")
    show_learned(session, metrics["learned"], metrics["valid"])
    show_comparison(session, metrics["compared"])
    session.say(f"  report: {escape(str(trained.report))}")
    session.next_step("emolab suggest")
