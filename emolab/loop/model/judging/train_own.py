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
    temperature: float = 1.0


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
        valid = judged(learnt.model, media, data)
        model = _store(workspace, learnt, data, _metrics(learnt, valid, data, minutes=(time.monotonic() - began) / 60))
        what = f"{workspace.config.project.name}, snapshot {data.snapshot[:12]}"
        learned = [file(sample) for i, sample in enumerate(train) if i not in learnt.left_out]
        record_learned(learnt.model, workspace.root / model.path, learned, what, progress)
        alias, reason, champion = _admit(workspace, model, media, data)
    return OwnTraining(
        model=model,
        checkpoint=OwnCheckpoint(backbone=learnt.backbone, metrics=model.metrics),
        alias=alias,
        reason=reason,
        champion=champion,
        document=workspace.root / model.path / DOCUMENT,
    )


def _groups(workspace: Workspace, ids: Sequence[str]) -> list[str | None]:
    from emolab.catalog import samples

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [sample.group for sample in samples.by_ids(conn, list(ids))]


def judged(model: OwnModel, media: Sequence[Any], data: TrainingSet) -> dict[str, Any]:
    """Figures of ``model`` on the validation samples of ``data``, whose files are ``media`` (v).

    Accuracy and calibration are those of the likeliest class against the leading label; ``macro_f1`` and ``per_class``
    are those of several labels a sample.
    """
    import numpy as np

    from emolab.stats import metrics, multilabel

    probs, errors = model.answers(media)
    read = np.array([i for i in range(len(media)) if i not in errors], np.int64)
    shares = data.targets[data.valid][read]
    if not len(read) or model.classes != data.classes:
        return dict(metrics.summary(np.zeros((0, len(data.classes))), np.zeros(0, np.int64), data.classes))
    truth: NDArray[np.bool_] = shares >= np.maximum(shares.max(axis=1, keepdims=True) / 2, 1e-9)
    found = probs[read]
    one = found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)
    return {
        **metrics.summary(one, data.hard[data.valid][read], data.classes),
        **multilabel.summary(truth, model.labels(found), found, data.classes),
    }


def _metrics(learnt: OwnLearnt, valid: Mapping[str, Any], data: TrainingSet, *, minutes: float) -> dict[str, Any]:
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
        "before_temperature": dict.fromkeys(("nll", "ece", "brier")),
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
        theirs = None if other is None else judged(other, media, data).get("macro_f1")
        wins = mine is not None and (theirs is None or mine > theirs)
        alias = "champion" if wins else "candidate"
        reason = _reason(mine, theirs, len(media), short(reigning.id))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
        present = models.aliases(tx).get("champion")
        if models.aliases(tx).get(alias) != model.id:
            models.set_alias(tx, alias, model.id)
            events.record(tx, "promote", {"model": model.id, "alias": alias, "before": present, "reason": reason})
        return alias, reason, models.aliases(tx)["champion"]


def _reason(mine: float | None, theirs: float | None, n: int, name: str) -> str:
    if mine is None:
        return "nothing was held out to judge it on"
    if theirs is None:
        return f"the champion {name} cannot be judged on these classes"
    return f"macro-F1 {mine:.3f} on {many(n, 'validation sample')}, {theirs:.3f} by the champion {name}"
