"""A fitted network becomes a model: calibrated, judged, compared with what it has to beat, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.catalog import models, samples, tallies
from emolab.catalog.privacy import consents
from emolab.catalog.storage.engine import now
from emolab.inference import probabilities
from emolab.inference.model_document import Checkpoint
from emolab.training import checkpoint
from emolab.training.fitting.fitted import Fitted
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.judging import comparison, flips, opponent, report
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.judging.opponent import Bench, Nobody, Opponent
from emolab.training.learned import ancestry, fingerprints, learned_images
from emolab.training.runs import model_origin, objective
from emolab.training.runs.recipes import Plan
from emolab.training.runs.runs import settings

if TYPE_CHECKING:
    from emolab.records import Model
    from emolab.training.judging.flips import Judged

REPORT = "report.html"
HEAD_BIAS = "head.bias"


def finish(fitted: Fitted, bench: Bench, *, alone: bool = False) -> tuple[Checkpoint, Opponent | Nobody]:
    """Calibrate and judge ``fitted``, compare it, and write its folder; the model and what stood against it.

    The folder holds weights, document, report and the record of what it learned from. ``alone`` compares with nothing.
    """
    workspace, run = bench.workspace, bench.run
    data = run.data
    fitted, trade_off, strength = _with_objective(fitted, data, run.plan)
    ways = flips.ways(fitted.logits, fitted.mirrored, data)
    own = ways[flips.ON if run.plan.flips else flips.OFF]
    identity = checkpoint.identity(settings(run.plan), data.snapshot, fitted.weights)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        champion = models.find(conn, "champion")
        voters = tallies.voters(conn, [data.ids[i] for i in data.valid.tolist()])
        hidden = consents.allowed(conn, "show", required=workspace.config.privacy.consent_required).barred
    record = ancestry.of_run(workspace, run, bench.media, progress=bench.progress)
    prints = fingerprints.fill(workspace.cache, [data.ids[i] for i in data.valid], bench.media)
    stands, compared = _stands(bench, champion, identity, alone=alone)
    if isinstance(stands, Opponent):
        # images seen without labels tell nobody an answer; a pretraining before the first votes has seen all of them
        fair = ~record.answers.has(prints) & ~stands.learned.answers.has(prints)
        verdict = _verdict(bench, stands, own.probs, fair, record.also(stands.learned).unknown)
        compared = {**verdict.document, "reason": verdict.reason, "reigning": stands.reigns}
    known = ancestry.marked(record, record.has(prints), own.probs, data.hard[data.valid], data.classes)
    made = _document(
        bench,
        fitted,
        ways,
        identity=identity,
        parent=None if champion is None or champion.id == identity else champion.id,
        judged={"learned": known, "compared": compared, "trade_off": trade_off, "strength": strength},
    )
    folder = workspace.models / identity[:16]
    folder.mkdir(parents=True, exist_ok=True)
    learned_images.write(folder / learned_images.FILE, record)
    checkpoint.write(folder, made, fitted.weights)
    name, judge = workspace.config.project.name, report.judge_of(voters)
    report.write(folder / REPORT, made, data, bench.pixels, probs=own.probs, name=name, judge=judge, hidden=hidden)
    return made, stands


def _stands(
    bench: Bench, champion: Model | None, identity: str, *, alone: bool
) -> tuple[Opponent | Nobody, dict[str, Any] | None]:
    """Who stands against the model ``identity``, and what its document says of that while nothing is compared."""
    if alone:
        return Nobody(reason="the start network"), None
    if champion is not None and champion.id == identity:
        stands: Opponent | Nobody = Nobody(reason="the same model as before")
        compared = champion.metrics.get("compared")
    else:
        stands, compared = _as_kept(bench, opponent.against(bench, champion)), None
    if isinstance(stands, Nobody) and stands.why:
        compared = {"against": None, "why": stands.why}
    return stands, compared


def _document(
    bench: Bench,
    fitted: Fitted,
    ways: Mapping[str, Judged],
    *,
    identity: str,
    parent: str | None,
    judged: Mapping[str, Any],
) -> Checkpoint:
    """What is written beside the weights: how they came about, how good they are, what they learned from."""
    run = bench.run
    data = run.data
    way = flips.ON if run.plan.flips else flips.OFF
    own, other = ways[way], next((ways[key] for key in ways if key != way), None)
    return Checkpoint(
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
        plan=settings(run.plan),
        snapshot=data.snapshot,
        created_at=now(),
        made_by=checkpoint.made_by(),
        parent=parent,
        metrics={
            "valid": own.measured,
            "learned": judged["learned"],
            "speakers": model_origin.speakers(bench.workspace, data),
            "compared": judged["compared"],
            "flips": {key: found.brief for key, found in ways.items()},
            "conformal": {key: found.conformal for key, found in ways.items()},
            "before_temperature": {key: own.before.get(key) for key in ("nll", "ece", "brier", "reliability", "votes")},
            "n_train": len(data.train),
            "epochs": len(fitted.history),
            "best_epoch": fitted.best_epoch + 1,
            "minutes": fitted.seconds / 60,
            "precision": fitted.precision,
            "layout": fitted.layout,
            "parameters": fitted.parameters,
            "trade_off": judged["trade_off"],
            "strength": judged["strength"],
            "solved": fitted.solved,
        },
        history=tuple(fitted.history),
        about=model_origin.facts(bench.workspace, data, run.plan),
    )


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
        logits = probabilities.together(logits, fitted.mirrored)
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
