"""What there is to learn from: labels as of now, splits filled, one training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.words import many

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.records import LabelSet
    from emolab.training.inputs.training_set import TrainingSet
    from emolab.workspace import Workspace


def training_material(workspace: Workspace, progress: Progress) -> tuple[TrainingSet, str]:
    """What there is to learn from by the votes as of now, its splits filled, and the version of the labels."""
    from emolab.labeling.labels.current_labels import current_labels

    labels = current_labels(workspace, progress=progress)
    _fill_splits(workspace, labels, progress)
    return training_set_of(workspace, labels), labels.version


def _fill_splits(workspace: Workspace, labels: LabelSet, progress: Progress) -> None:
    """Give labelled samples without a split one, and say what changed."""
    from emolab.datasets.splits import assign, holdout, speakers

    classes = labels.classes
    hard = {sample: classes[i] for sample, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        report = assign.fill(tx, hard, without_valid="carve")
        holdout.check_to_train(tx)
        speakers.check_to_train(workspace, tx)
    if report.carved:
        what = f"{many(report.carved, 'sample')} went from train to valid"
        progress.note(f"Too little was held out to choose and judge models by, so {what}.")
    if report.assigned:
        parts = ", ".join(f"{n:,} {name}" for name, n in sorted(report.assigned.items()))
        progress.note(f"New in the splits: {parts}.")


def training_set_of(workspace: Workspace, labels: LabelSet) -> TrainingSet:
    """The labels with split and classes of each sample's source, which cannot show every class."""
    import numpy as np

    from emolab.catalog import samples
    from emolab.training.inputs.training_set import training_set

    classes = labels.classes
    with workspace.catalog() as catalog, catalog.connect() as conn:
        able = samples.supported(conn)
        found = samples.by_ids(conn, labels.samples)
    shown = {
        source: np.array([names is None or name in names for name in classes], dtype=bool)
        for source, names in able.items()
    }
    everything = np.ones(len(classes), dtype=bool)
    return training_set(
        classes=classes,
        ids=labels.samples,
        probs=labels.probs,
        splits=[sample.split for sample in found],
        supported=np.stack([shown.get(sample.source, everything) for sample in found]),
        hard=labels.hard,
    )
