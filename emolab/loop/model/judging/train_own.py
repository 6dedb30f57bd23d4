"""A model that its modality learns by itself, from the current labels of a workspace."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.words import many, short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.own_models import Learner, OwnLearnt, OwnModel
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class OwnCheckpoint:
    """What there is to tell of such a model where a network has a checkpoint."""

    backbone: str
    metrics: Mapping[str, Any]
    temperature: float | None


@dataclass(frozen=True, kw_only=True)
class OwnTraining:
    """The ``model`` as stored, the name (``alias``) it earned and why, and the id of the ``champion`` of now."""

    model: Model
    checkpoint: OwnCheckpoint
    alias: str
    reason: str
    champion: str
    document: Path


def train_own(workspace: Workspace, learner: Learner, *, progress: Progress) -> OwnTraining:
    """Learn from the training samples, judge on the validation samples, and store the model under the name it earned.

    It becomes champion where none is, or where its macro-F1 on the validation samples is higher than the champion's.
    Raises :class:`DataError` where there is too little to learn from.
    """
    from emolab.loop.model.judging.learned_samples import record_learned
    from emolab.loop.model.shortage import before_training
    from emolab.loop.model.training_material import training_material
    from emolab.loop.model.training_run import take_snapshot
    from emolab.loop.sample_files import media_of
    from emolab.modalities.own_models import DOCUMENT
    from emolab.training.inputs.training_set import require_classes

    with workspace.lock("train"):
        began = time.monotonic()
        data, version = training_material(workspace, progress)
        require_classes(data)
        for line in before_training(data.composition()):
            progress.warn(line)
        file = media_of(workspace)
        train = [data.ids[i] for i in data.train]
        learnt = learner(
            [file(sample) for sample in train],
            data.targets[data.train],
            data.classes,
            supported=data.supported[data.train],
            groups=_groups(workspace, train),
            config=workspace.config.training,
            progress=progress,
        )
        for place, why in list(learnt.left_out.items())[:5]:
            progress.warn(f"Left out: {short(train[place])}: {why}.")
        take_snapshot(workspace, data, version)
        media = [file(data.ids[i]) for i in data.valid]
        valid, before = judged(learnt.model, media, data)
        figures = _metrics(learnt, valid, before, data, minutes=(time.monotonic() - began) / 60)
        model = _store(workspace, learnt, data, figures)
        what = f"{workspace.config.project.name}, snapshot {data.snapshot[:12]}"
        learned = [file(sample) for i, sample in enumerate(train) if i not in learnt.left_out]
        record_learned(learnt.model, workspace.root / model.path, learned, what, progress)
        alias, reason, champion = _admit(workspace, model, media, data)
    return OwnTraining(
        model=model,
        checkpoint=OwnCheckpoint(backbone=learnt.backbone, metrics=model.metrics, temperature=learnt.model.temperature),
        alias=alias,
        reason=reason,
        champion=champion,
        document=workspace.root / model.path / DOCUMENT,
    )


def _groups(workspace: Workspace, ids: Sequence[str]) -> list[str | None]:
    from emolab.catalog import samples

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [sample.group for sample in samples.by_ids(conn, list(ids))]


def judged(model: OwnModel, media: Sequence[Any], data: TrainingSet) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of ``model`` on the validation samples of ``data``, whose files are ``media`` (v); those without its
    temperature.

    Accuracy, NLL and Brier score are those of one distribution a sample against the leading label; all others are those
    of several labels a sample.
    """
    import numpy as np

    from emolab.stats import metrics

    probs, errors = model.answers(media)
    read = np.array([i for i in range(len(media)) if i not in errors], np.int64)
    shares = data.targets[data.valid][read]
    if not len(read) or model.classes != data.classes:
        return dict(metrics.summary(np.zeros((0, len(data.classes))), np.zeros(0, np.int64), data.classes)), {}
    truth: NDArray[np.bool_] = shares >= np.maximum(shares.max(axis=1, keepdims=True) / 2, 1e-9)
    said, leading = model.labels(probs[read]), data.hard[data.valid][read]
    after, before = (
        _figures(found, said, truth, leading, data.classes)
        for found in (probs[read], model.before_temperature(probs[read]))
    )
    return after, before


def _figures(
    probs: NDArray[np.float32],
    said: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    leading: NDArray[np.int64],
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """Figures of ``probs`` (n, k), each class by itself, against the ``leading`` label (n,) and all labels (n, k)."""
    import numpy as np

    from emolab.stats import metrics, multilabel

    one = probs / np.maximum(probs.sum(axis=1, keepdims=True), 1e-12)
    return {**metrics.summary(one, leading, classes), **multilabel.summary(truth, said, probs, classes)}


def _metrics(
    learnt: OwnLearnt, valid: Mapping[str, Any], before: Mapping[str, Any], data: TrainingSet, *, minutes: float
) -> dict[str, Any]:
    return {
        "valid": dict(valid),
        "n_train": len(data.train) - len(learnt.left_out),
        "epochs": 0,
        "best_epoch": 0,
        "minutes": minutes,
        "solved": {"steps": learnt.steps, "penalty": learnt.penalty},
        # validation samples share no group, copy or text with training samples: nothing of them was learned
        "learned": {"n": 0, "left": len(data.valid), "unknown": [], "recorded": len(data.train), "without": None},
        "compared": None,
        "before_temperature": {key: before.get(key) for key in ("nll", "ece", "brier", "log_loss")},
    }


def _store(workspace: Workspace, learnt: OwnLearnt, data: TrainingSet, metrics: Mapping[str, Any]) -> Model:
    """The model as the catalog keeps it, its folder written."""
    from emolab.catalog.storage.engine import now
    from emolab.records import Model

    made = learnt.model.id
    folder = workspace.models / made[:16]
    learnt.model.save(folder)
    return Model(
        id=made,
        path=folder.relative_to(workspace.root).as_posix(),
        classes=data.classes,
        config={"backbone": learnt.backbone, **learnt.settings},
        snapshot=data.snapshot,
        metrics=metrics,
        created_at=now(),
    )


def _admit(workspace: Workspace, model: Model, media: Sequence[Any], data: TrainingSet) -> tuple[str, str, str]:
    """The name that ``model`` earned and why, and the id of the champion of now."""
    from emolab.catalog import events, models
    from emolab.catalog.registry.actor import actor
    from emolab.loop.model.registry.gate_models import has_judges
    from emolab.loop.model.registry.may_act import may_act
    from emolab.loop.model.registry.pointer import moving
    from emolab.modalities.own_models import own_model

    with workspace.catalog() as catalog, catalog.connect() as conn:
        reigning = models.find(conn, "champion")
    mine = model.metrics["valid"].get("macro_f1")
    if reigning is None:
        alias, reason = "champion", "the first model"
    elif reigning.id == model.id:
        alias, reason = "champion", "the same model as before"
    else:
        other = own_model(workspace.root / reigning.path)
        theirs = None if other is None else judged(other, media, data)[0].get("macro_f1")
        wins = mine is not None and (theirs is None or mine > theirs)
        alias = "champion" if wins else "candidate"
        reason = _reason(mine, theirs, len(media), short(reigning.id))
    with moving(workspace) as tx:
        models.add(tx, model)
        present = models.aliases(tx).get("champion")
        if alias == "champion" and present not in (None, model.id) and not may_act(workspace):
            alias, reason = "candidate", f"{actor()} may not promote (operations.promoters); {reason}"
        elif alias == "champion" and present not in (None, model.id) and has_judges(tx):
            alias, reason = "candidate", f"the holdout decides (emolab models promote candidate); {reason}"
        if models.aliases(tx).get(alias) != model.id:
            models.set_alias(tx, alias, model.id, reason=reason)
            events.record(tx, "promote", {"model": model.id, "alias": alias, "before": present, "reason": reason})
        return alias, reason, models.aliases(tx)["champion"]


def _reason(mine: float | None, theirs: float | None, n: int, name: str) -> str:
    if mine is None:
        return "nothing was held out to judge it on"
    if theirs is None:
        return f"the champion {name} cannot be judged on these classes"
    return f"macro-F1 {mine:.3f} on {many(n, 'validation sample')}, {theirs:.3f} by the champion {name}"
