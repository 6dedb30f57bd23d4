"""From a run to a model: train, calibrate, judge, write the checkpoint, and decide who is champion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.catalog import models, samples, tallies
from emolab.catalog.storage.engine import now
from emolab.modalities.image.decode import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.records import Model
from emolab.results import Result
from emolab.stats import metrics
from emolab.training import checkpoint
from emolab.training.checkpoint import Checkpoint
from emolab.training.fitting import tensorboard as scalars
from emolab.training.fitting import tuning
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.fitting.distributed import ALONE, Team
from emolab.training.fitting.fit import fit
from emolab.training.fitting.fitted import Fitted
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs import pixel_cache
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.judging import comparison, flips, opponent, report
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.judging.opponent import Bench, Nobody, Opponent
from emolab.training.learned import ancestry, fingerprints, learned_images
from emolab.training.runs import model_origin, objective
from emolab.training.runs.recipes import Plan
from emolab.training.runs.runs import Run, settings
from emolab.workspace import Workspace

REPORT = "report.html"
HEAD_BIAS = "head.bias"
Media = Callable[[str], Path]


@dataclass(frozen=True, kw_only=True)
class Trained(Result):
    """A finished training: the model, which name it earned and why, and where its report is.

    ``champion`` is the id of the model that has that name now.
    """

    model: Model
    checkpoint: Checkpoint
    alias: str
    reason: str
    champion: str
    report: Path
    mismatches: tuple[str, ...]
    resumed_at: int

    def to_dict(self) -> dict[str, Any]:
        """What there is to tell about the training, ready for JSON."""
        model, metrics = self.model, self.checkpoint.metrics
        told = ("n_train", "epochs", "best_epoch", "minutes", "solved", "valid")
        return {
            "model": model.id,
            "alias": self.alias,
            "reason": self.reason,
            "path": model.path,
            "report": self.report,
            "snapshot": model.snapshot,
            "backbone": self.checkpoint.backbone,
            "temperature": self.checkpoint.temperature,
            **{key: metrics[key] for key in told},
            "champion": self.champion,
            "learned": metrics["learned"],
            "compared": metrics["compared"],
            "before_temperature": {k: metrics["before_temperature"][k] for k in ("nll", "ece", "brier")},
            "mismatches": self.mismatches,
            "resumed_at": self.resumed_at,
        }


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

    One training at a time per workspace. The model becomes ``champion`` where it beats the reigning one, or without one
    the network it started from, else it is the ``candidate`` (see :mod:`emolab.training.judging.comparison`); a start
    network that was not beaten becomes champion itself. Stopping it at any instant loses at most the steps since the
    last state; calling it again with the same run goes on and ends with the same weights. The leader of a ``team``
    calls this, the others :func:`help_train`.
    """
    with workspace.lock("train"):
        resumed_at = run.epochs_done()
        with run.forgotten_if_barren():
            if run.plan.tuning:
                keep_freed_memory()  # decoding gains from it too
            wanted = Preprocessing(run.plan.size, run.plan.color)
            if run.plan.mode == "head":  # its features are those of predictions, and shared with them
                pixels = pixel_cache.fill(workspace.cache, run.data.ids, media, wanted, progress=progress)
            else:
                pixels = pixel_cache.fill_to_train(workspace.cache, run.data, media, wanted, progress=progress)
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
        bench = Bench(workspace=workspace, run=run, pixels=pixels, media=media, progress=progress)
        with progress.task("Calibrating, comparing, writing the report"):
            made, stands = finish(fitted, bench)
            model, alias, reason, champion = _store(bench, made, stands)
        run.remove()
    folder = workspace.root / model.path
    return Trained(
        model=model,
        checkpoint=made,
        alias=alias,
        reason=reason,
        champion=champion,
        report=folder / REPORT,
        mismatches=fitted.mismatches,
        resumed_at=resumed_at,
    )


def help_train(workspace: Workspace, run: Run, media: Media, team: Team) -> None:
    """Take part in the training of ``run`` that another process of ``team`` leads; nothing is written."""
    if run.plan.mode == "head":
        return
    team.wait()
    pixels = pixel_cache.fill_to_train(workspace.cache, run.data, media, Preprocessing(run.plan.size, run.plan.color))
    fit(pixels, run.data, run.plan, run.folder, choices=workspace.cache / tuning.FILE, team=team)


def finish(fitted: Fitted, bench: Bench, *, alone: bool = False) -> tuple[Checkpoint, Opponent | Nobody]:
    """Calibrate and judge ``fitted``, compare it, and write its folder; the model and what stood against it.

    The folder holds weights, document, report and the record of what it learned from. ``alone`` compares with nothing.
    """
    workspace, run = bench.workspace, bench.run
    data = run.data
    fitted, trade_off, strength = _with_objective(fitted, data, run.plan)
    ways = flips.ways(fitted.logits, fitted.mirrored, data)
    way = flips.ON if run.plan.flips else flips.OFF
    own, other = ways[way], next((ways[key] for key in ways if key != way), None)
    plain = settings(run.plan)
    identity = checkpoint.identity(plain, data.snapshot, fitted.weights)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        champion = models.find(conn, "champion")
        voters = tallies.voters(conn, [data.ids[i] for i in data.valid.tolist()])
    record = ancestry.of_run(workspace, run, bench.media, progress=bench.progress)
    prints = fingerprints.fill(workspace.cache, [data.ids[i] for i in data.valid], bench.media)
    mine = record.has(prints)
    compared: dict[str, Any] | None = None
    stands: Opponent | Nobody
    if alone:
        stands = Nobody(reason="the start network")
    elif champion is not None and champion.id == identity:
        stands, compared = Nobody(reason="the same model as before"), champion.metrics.get("compared")
    else:
        stands = _as_kept(bench, opponent.against(bench, champion))
    if isinstance(stands, Nobody) and stands.why:
        compared = {"against": None, "why": stands.why}
    elif isinstance(stands, Opponent):
        # images seen without labels tell nobody an answer; a pretraining before the first votes has seen all of them
        fair = ~record.answers.has(prints) & ~stands.learned.answers.has(prints)
        verdict = _verdict(bench, stands, own.probs, fair, record.also(stands.learned).unknown)
        compared = {**verdict.document, "reason": verdict.reason, "reigning": stands.reigns}
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
        parent=None if champion is None or champion.id == identity else champion.id,
        metrics={
            "valid": own.measured,
            "learned": ancestry.marked(record, mine, own.probs, data.hard[data.valid], data.classes),
            "compared": compared,
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
        about=model_origin.facts(workspace, data, run.plan),
    )
    folder = workspace.models / identity[:16]
    folder.mkdir(parents=True, exist_ok=True)
    learned_images.write(folder / learned_images.FILE, record)
    checkpoint.write(folder, made, fitted.weights)
    name, judge = workspace.config.project.name, report.judge_of(voters)
    report.write(folder / REPORT, made, data, bench.pixels, probs=own.probs, name=name, judge=judge)
    return made, stands


def _verdict(
    bench: Bench, stands: Opponent, probs: NDArray[np.float32], fair: NDArray[np.bool_], unknown: tuple[str, ...]
) -> comparison.Verdict:
    """What comes of comparing ``probs`` (v, k) of the new model with what ``stands``, on the ``fair`` (v,) samples."""
    data = bench.run.data
    with bench.workspace.catalog() as catalog, catalog.connect() as conn:
        found = samples.by_ids(conn, [data.ids[i] for i in data.valid.tolist()])
    names = [sample.group or sample.representative or sample.id for sample in found]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return comparison.compare(
        probs,
        stands.probs,
        data.hard[data.valid],
        data.classes,
        groups=np.array([numbers[name] for name in names], dtype=np.int64),
        fair=fair,
        unknown=unknown,
        against=stands.name,
    )


def _as_kept(bench: Bench, stands: Opponent | Nobody) -> Opponent | Nobody:
    """``stands``, a solved head with the class offsets that it would be kept with."""
    if isinstance(stands, Nobody) or stands.fitted is None:
        return stands
    run = opponent.with_solved_head(bench.run)
    return replace(
        stands, probs=flips.judged(_with_objective(stands.fitted, run.data, run.plan)[0].logits, run.data).probs
    )


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


def _store(bench: Bench, made: Checkpoint, stands: Opponent | Nobody) -> tuple[Model, str, str, str]:
    """The model as stored, the name it earned, why, and the id of the champion of now."""
    start: Model | None = None
    if isinstance(stands, Nobody):
        wins, reason = not stands.stays, stands.reason
    else:
        compared = made.metrics["compared"]
        wins, reason = bool(compared["wins"]), str(compared["reason"])
        if not wins and not stands.reigns:
            start = _crowned(bench, stands)
    model, alias = _row(bench.workspace, made), "champion" if wins else "candidate"
    with bench.workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
        present = models.aliases(tx).get("champion")
        if present not in (made.parent, made.id):  # somebody promoted a model while this one was judged
            alias, start = "candidate", None
            reason = f"{str(present)[:10]} was made champion meanwhile, and stays; {reason}"
        for name, wearer in ((alias, model), ("champion", start)):
            if wearer is not None and models.aliases(tx).get(name) != wearer.id:
                models.set_alias(tx, name, wearer.id)
        return models.get(tx, model.id), alias, reason, models.aliases(tx)["champion"]


def _row(workspace: Workspace, made: Checkpoint) -> Model:
    """``made`` as the catalog keeps it."""
    return Model(
        id=made.id,
        path=(workspace.models / made.id[:16]).relative_to(workspace.root).as_posix(),
        classes=made.classes,
        config=made.plan,
        snapshot=made.snapshot,
        metrics={key: value for key, value in made.metrics.items() if key != "before_temperature"},
        parent=made.parent,
        created_at=made.created_at,
    )


def _crowned(bench: Bench, stands: Opponent) -> Model:
    """The start network that was not beaten, or its solved head, as a model of the workspace."""
    data = bench.run.data
    if stands.fitted is not None:
        made, _ = finish(stands.fitted, replace(bench, run=opponent.with_solved_head(bench.run)), alone=True)
        model = _row(bench.workspace, made)
        with bench.workspace.catalog() as catalog, catalog.begin() as tx:
            models.add(tx, model)
        return model
    if stands.folder is None:
        raise ValueError(f"{stands.name} is neither a folder nor a solved head")
    truth = data.hard[data.valid]
    prints = fingerprints.fill(bench.workspace.cache, [data.ids[i] for i in data.valid], bench.media)
    known = stands.learned.has(prints)
    measured = {
        "valid": metrics.summary(stands.probs, truth, data.classes),
        "learned": ancestry.marked(stands.learned, known, stands.probs, truth, data.classes),
        "compared": None,
    }
    return opponent.adopt(bench.workspace, stands.folder, measured)
