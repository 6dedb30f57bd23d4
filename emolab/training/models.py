"""From a run to a model: train, calibrate, judge, write the checkpoint, and decide who is champion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emolab import metrics
from emolab.catalog import models as catalog_models
from emolab.catalog import samples, tallies
from emolab.catalog.engine import now
from emolab.errors import EmolabError
from emolab.progress import SILENT, Progress
from emolab.records import Model
from emolab.training import cache, checkpoint, flips, objective, report, scalars, tuning
from emolab.training.cache import Pixels
from emolab.training.calibrate import fit_temperature, softmax
from emolab.training.checkpoint import Checkpoint
from emolab.training.data import TrainingSet
from emolab.training.decode import Preprocessing
from emolab.training.fit import fit
from emolab.training.fitted import Fitted
from emolab.training.head_fit import fit_head
from emolab.training.memory import keep_freed_memory
from emolab.training.predict import load, logits_by_cache
from emolab.training.recipes import Plan
from emolab.training.runs import Run, settings
from emolab.training.team import ALONE, Team
from emolab.workspace import Workspace

REPORT = "report.html"
HEAD_BIAS = "head.bias"
Media = Callable[[str], Path]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training: the model, which name it earned and why, and where its report is."""

    model: Model
    checkpoint: Checkpoint
    alias: str
    reason: str
    report: Path
    mismatches: tuple[str, ...]
    resumed_at: int


def train(
    workspace: Workspace,
    run: Run,
    media: Media,
    *,
    tensorboard: bool = True,
    progress: Progress = SILENT,
    team: Team = ALONE,
) -> Trained:
    """Carry ``run`` to its end and store the model; ``media`` gives the file of a sample id.

    One training at a time per workspace. The first model becomes ``champion``, a later one when its macro-F1 is
    higher on the same validation samples, else it is the ``candidate``. Stopping it at any instant loses at most the
    steps since the last state; calling it again with the same run goes on and ends with the same weights. The leader of
    a ``team`` calls this, the others :func:`help_train`.
    """
    with workspace.lock("train"):
        resumed_at = run.epochs_done()
        with run.forgotten_if_barren():
            if run.plan.tuning:
                keep_freed_memory()  # decoding gains from it too
            wanted = Preprocessing(run.plan.size, run.plan.color)
            pixels = cache.fill(workspace.cache, run.data.ids, media, wanted, progress=progress)
            with scalars.writer(workspace.logs / "tensorboard" / run.folder.name, resumed_at, on=tensorboard) as watch:
                if run.plan.mode == "head":
                    fitted = fit_head(pixels, run.data, run.plan, workspace.cache, progress=progress)
                else:
                    team.wait()  # the others read what was decoded
                    fitted = fit(
                        pixels,
                        run.data,
                        run.plan,
                        run.folder,
                        progress=progress,
                        watch=watch,
                        choices=workspace.cache / tuning.FILE,
                        team=team,
                    )
        made = finish(fitted, run, workspace, pixels)
        model, alias, reason = _store(workspace, made, run.data, pixels)
        run.remove()
    folder = workspace.root / model.path
    return Trained(
        model=model,
        checkpoint=made,
        alias=alias,
        reason=reason,
        report=folder / REPORT,
        mismatches=fitted.mismatches,
        resumed_at=resumed_at,
    )


def help_train(workspace: Workspace, run: Run, media: Media, team: Team) -> None:
    """Take part in the training of ``run`` that another process of ``team`` leads; nothing is written."""
    if run.plan.mode == "head":
        return
    team.wait()
    pixels = cache.fill(workspace.cache, run.data.ids, media, Preprocessing(run.plan.size, run.plan.color))
    fit(pixels, run.data, run.plan, run.folder, choices=workspace.cache / tuning.FILE, team=team)


def finish(fitted: Fitted, run: Run, workspace: Workspace, pixels: Pixels) -> Checkpoint:
    """Calibrate and judge ``fitted``, and write its folder: weights, document and report."""
    data = run.data
    fitted, trade_off, strength = _with_objective(fitted, data, run.plan)
    ways = flips.ways(fitted.logits, fitted.mirrored, data)
    way = flips.ON if run.plan.flips else flips.OFF
    own, other = ways[way], next((ways[key] for key in ways if key != way), None)
    plain = settings(run.plan)
    identity = checkpoint.identity(plain, data.snapshot, fitted.weights)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        parent = catalog_models.aliases(conn).get("champion")
        voters = tallies.voters(conn, [data.ids[i] for i in data.valid.tolist()])
    made = Checkpoint(
        id=identity,
        classes=data.classes,
        backbone=run.plan.backbone,
        size=run.plan.size,
        color=run.plan.color,
        mean=fitted.mean,
        std=fitted.std,
        temperature=own.temperature,
        flips=run.plan.flips,
        other_temperature=other.temperature if other else None,
        plan=plain,
        snapshot=data.snapshot,
        created_at=now(),
        parent=None if parent == identity else parent,
        metrics={
            "valid": own.measured,
            "flips": {key: found.brief for key, found in ways.items()},
            "before_temperature": {key: own.before.get(key) for key in ("nll", "ece", "brier", "reliability", "votes")},
            "n_train": len(data.train),
            "epochs": len(fitted.history),
            "best_epoch": fitted.best_epoch + 1,
            "minutes": fitted.seconds / 60,
            "precision": fitted.precision,
            "layout": fitted.layout,
            "parameters": fitted.parameters,
            "trade_off": trade_off,
            "strength": strength,
            "solved": fitted.solved,
        },
        history=tuple(fitted.history),
    )
    folder = workspace.models / identity[:16]
    checkpoint.write(folder, made, fitted.weights)
    name, judge = workspace.config.project.name, report.judge_of(voters)
    report.write(folder / REPORT, made, data, pixels, probs=own.probs, name=name, judge=judge)
    return made


def _with_objective(fitted: Fitted, data: TrainingSet, plan: Plan) -> tuple[Fitted, list[dict[str, float]], float]:
    """``fitted`` with the offsets of the objective of ``plan`` in its head; the trade-off; the strength taken."""
    able = data.supported[data.valid]
    logits = fitted.logits
    if plan.flips and fitted.mirrored is not None:
        logits = flips.together(logits, fitted.mirrored)
    temperature = fit_temperature(np.where(able, logits, -1e9), data.hard[data.valid])
    prior = objective.log_prior(data.targets[data.train], data.supported[data.train])
    calibrated = np.where(able, logits / temperature, -1e9)
    rows = objective.trade_off(calibrated, data.hard[data.valid], prior, data.classes) if len(data.valid) else []
    strength = objective.choose(plan.objective, rows, len(data.valid))
    if strength == 0:
        return fitted, rows, strength
    offsets = (strength * temperature * prior).astype(np.float32)
    weights = {**fitted.weights, HEAD_BIAS: fitted.weights[HEAD_BIAS] - torch.from_numpy(offsets)}
    mirrored = None if fitted.mirrored is None else fitted.mirrored - offsets
    return replace(fitted, weights=weights, logits=fitted.logits - offsets, mirrored=mirrored), rows, strength


def _store(workspace: Workspace, made: Checkpoint, data: TrainingSet, pixels: Pixels) -> tuple[Model, str, str]:
    model = Model(
        id=made.id,
        path=(workspace.models / made.id[:16]).relative_to(workspace.root).as_posix(),
        classes=made.classes,
        config=made.plan,
        snapshot=made.snapshot,
        metrics={key: value for key, value in made.metrics.items() if key != "before_temperature"},
        parent=made.parent,
        created_at=made.created_at,
    )
    with workspace.catalog() as catalog:
        with catalog.connect() as conn:
            champion = catalog_models.find(conn, "champion")
        alias, reason = _rank(workspace, made, champion, data, pixels)
        with catalog.begin() as tx:
            catalog_models.add(tx, model)
            if catalog_models.aliases(tx).get(alias) != model.id:
                catalog_models.set_alias(tx, alias, model.id)
            stored = catalog_models.get(tx, model.id)
    return stored, alias, reason


def _rank(
    workspace: Workspace, made: Checkpoint, champion: Model | None, data: TrainingSet, pixels: Pixels
) -> tuple[str, str]:
    """``champion`` or ``candidate``, and why in words."""
    if champion is None:
        return "champion", "the first model"
    if champion.id == made.id:
        return "champion", "the same model as before"
    if champion.classes != made.classes:
        return "candidate", "the champion has other classes"
    if len(data.valid) == 0:
        return "candidate", "no validation samples to compare on"
    mine = float(made.metrics["valid"]["macro_f1"])
    try:
        theirs = _judge(workspace, champion, made, data, pixels)
    except EmolabError as error:
        return "candidate", f"the champion could not be judged ({error.message})"
    n = len(data.valid)
    compared = f"macro-F1 {mine:.3f} against {theirs:.3f} of {champion.id[:10]} on the same {n:,} samples"
    return ("champion" if mine > theirs else "candidate"), compared


def _judge(workspace: Workspace, champion: Model, made: Checkpoint, data: TrainingSet, pixels: Pixels) -> float:
    """Macro-F1 of the champion on today's validation samples."""
    predictor = load(workspace.root / champion.path, device=made.plan["device"])
    chosen = [data.ids[i] for i in data.valid]
    if predictor.checkpoint.preprocessing != made.preprocessing:
        with workspace.catalog() as catalog, catalog.connect() as conn:
            paths = {s.id: workspace.locate(s.media) for s in samples.by_ids(conn, chosen)}
        judged = cache.fill(workspace.cache, chosen, paths.__getitem__, predictor.checkpoint.preprocessing)
    else:
        judged = Pixels(pixels.array, pixels.rows[data.valid])
    if made.plan["mode"] == "head":
        logits, _ = logits_by_cache(predictor, workspace.cache, chosen, judged)
    else:
        logits, _ = predictor.logits(judged.take(np.arange(len(chosen), dtype=np.int64)))
    logits = np.where(data.supported[data.valid], logits, -1e9)
    found: dict[str, Any] = metrics.summary(softmax(logits), data.hard[data.valid], data.classes)
    return float(found["macro_f1"])
