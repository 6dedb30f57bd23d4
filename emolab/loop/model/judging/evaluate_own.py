"""How good a model is that says of each class by itself whether it applies: samples may have several labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emolab.errors import DataError
from emolab.progress import SILENT

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.datasets.several_labels import SeveralLabels
    from emolab.modalities.own_models import OwnModel
    from emolab.progress import Progress
    from emolab.workspace import Workspace


#: What is said of a model of an earlier emolab.
UNCALIBRATED = (
    "This model has no temperature and states no sets: an earlier emolab learned it, so its probabilities are not "
    "calibrated. Train it again with: emolab train"
)


def evaluate_own(
    workspace: Workspace | None,
    model: OwnModel,
    folder: Path,
    on: str,
    *,
    split: str | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Figures of ``model``, kept in ``folder``, ``on`` a split of ``workspace`` or a dataset, ready for JSON.

    A dataset is ``READER:PATH``. ``learned`` says how many of the samples the model has learned from.
    ``macro_f1``, ``micro_f1``, ``exact``, ``log_loss``, ``ece`` and ``per_class`` as in
    :func:`emolab.stats.multilabel.summary`; the last two figures without the temperature stand under
    ``before_temperature``, ``None`` for a model that has none. Samples that cannot be read are counted under
    ``unreadable`` and are no part of ``n``. Raises :class:`DataError` where nothing is left to judge on.
    """
    from emolab.datasets.benchmark_set import is_spec
    from emolab.datasets.several_labels import several_labels
    from emolab.errors import ConfigError

    if is_spec(on):
        chosen = several_labels(on, model.classes, split=split)
    elif workspace is None:
        raise ConfigError(f"The split {on} is one of a workspace.", hint="Give workspace=emolab.open(PATH).")
    else:
        chosen = _of_workspace(workspace, model, on, progress)
    if model.temperature is None:
        progress.warn(UNCALIBRATED)
    return {**_judge(model, chosen, folder), "on": on, "dropped": dict(chosen.dropped), "splits": list(chosen.splits)}


def _judge(model: OwnModel, chosen: SeveralLabels, folder: Path) -> dict[str, Any]:
    import numpy as np

    from emolab.inference import uncertainty
    from emolab.loop.model.judging.learned_samples import learned_before
    from emolab.stats import multilabel

    probs, errors = model.answers(chosen.media)
    read = np.ones(len(chosen.media), bool)
    read[list(errors)] = False
    if not read.any():
        raise DataError(f"There is nothing to judge the model on: {next(iter(errors.values()), 'the set is empty')}.")
    said = model.labels(probs)
    found = multilabel.summary(chosen.truth[read], said[read], probs[read], model.classes)
    raw = None if model.temperature is None else model.before_temperature(probs[read])
    labelled = chosen.truth[read].any(axis=1)
    known = learned_before(model, folder, chosen.media)
    return {
        "model": model.id,
        "protocol": chosen.protocol,
        "flips": False,
        **found,
        "temperature": model.temperature,
        "before_temperature": None if raw is None else multilabel.honesty(chosen.truth[read], raw),
        "conformal": uncertainty.check(model.conformal, probs[read][labelled], chosen.truth[read][labelled]),
        "learned": None
        if known is None
        else known.told(
            read, lambda left: multilabel.summary(chosen.truth[left], said[left], probs[left], model.classes)
        ),
        "unreadable": len(errors),
        "errors": [f"{chosen.names[i]}: {why}" for i, why in list(errors.items())[:20]],
    }


def nobody_judges(split: str) -> DataError:
    """That no labelled sample is in ``split``, and what would put some there."""
    from emolab.records import HOLDOUT

    ways = {
        "test": "Put some there: emolab split draw --train 0.6 --valid 0.2 --test 0.2",
        HOLDOUT: "Put some there and have them labelled: emolab holdout add -n 200, then emolab label push",
    }
    return DataError(
        f"No labelled sample belongs to the split {split}.", hint=ways.get(split, '"emolab train" fills it.')
    )


def _of_workspace(workspace: Workspace, model: OwnModel, split: str, progress: Progress) -> SeveralLabels:
    """The labelled samples of ``split``; every class with at least half the share of the leading one applies."""
    import numpy as np

    from emolab.catalog import samples
    from emolab.datasets.several_labels import SeveralLabels
    from emolab.labeling.labels.current_labels import current_labels
    from emolab.stats import multilabel

    labels = current_labels(workspace, progress=progress)
    rows = {sample: row for row, sample in enumerate(labels.samples)}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        labelled = [sample for sample in samples.iterate(conn, split=split) if sample.id in rows]
    if not labelled:
        raise nobody_judges(split)
    place = {name: j for j, name in enumerate(model.classes)}
    columns = [(j, place[name]) for j, name in enumerate(labels.classes) if name in place]
    shares = labels.probs[[rows[sample.id] for sample in labelled]]
    applies = multilabel.applying(shares)
    truth = np.zeros((len(labelled), len(model.classes)), bool)
    for there, here in columns:
        truth[:, here] = applies[:, there]
    known = np.flatnonzero(truth.any(axis=1))
    if not len(known):
        raise DataError(
            f"The {len(labelled):,} samples of {split} are of classes the model does not know.",
            hint="Train a model on today's classes with: emolab train",
        )
    kept = [labelled[i] for i in known]
    gone = len(labelled) - len(kept)
    return SeveralLabels(
        names=[sample.name or sample.id for sample in kept],
        media=[workspace.root / sample.media for sample in kept],
        truth=truth[known],
        protocol=f"{split} samples of this workspace against their current labels ({labels.method}), every class with "
        "at least half the share of the leading one",
        dropped={"unknown class": gone} if gone else {},
        splits=(split,),
    )
