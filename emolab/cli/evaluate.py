"""``emolab evaluate``: how good a model is on a split or on an open dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, device_option, flips_option, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.training.learned.learned_images import Learned
    from emolab.training.predict import Predictor


@click.command(short_help="Judge a model on a split or on an open dataset.")
@click.argument("model")
@click.option("--on", "where", required=True, metavar="SPLIT|READER:PATH",
              help="train, valid or test of this workspace, or a dataset such as ferplus:FILE.zip.")  # fmt: skip
@click.option("--protocol", metavar="NAME", help="How a dataset's votes become answers [ferplus: majority].")
@click.option("--split", metavar="NAME", help="Which split of the dataset [the one held out furthest].")
@flips_option
@device_option
@workspace_command
def evaluate(
    session: Session,
    model: str,
    *,
    where: str,
    protocol: str | None,
    split: str | None,
    flips: bool | None,
    device: str | None,
) -> None:
    """Judge MODEL (champion, the start of an id, or a checkpoint folder) and print accuracy, macro-F1, calibration."""
    from emolab.cli.common import escape
    from emolab.cli.ui.comparison_table import show_learned
    from emolab.cli.ui.metrics_table import show_metrics
    from emolab.cli.ui.model_options import device_of, folder_of
    from emolab.datasets.benchmark_set import is_spec
    from emolab.errors import MissingExtra, UnknownName
    from emolab.records import SPLITS

    try:
        from emolab.training.learned import ancestry
        from emolab.training.predict import load
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    if not is_spec(where) and where not in SPLITS:
        raise UnknownName("split or dataset", where, SPLITS, hint="A dataset is READER:PATH, such as ferplus:FILE.zip.")
    folder = folder_of(session, model)
    predictor, record = load(folder, device=device_of(session, device)), ancestry.of_folder(folder)
    if flips is not None:
        predictor = predictor.with_flips(flips)
    if is_spec(where):
        found = _on_dataset(session, predictor, record, where, protocol=protocol, split=split)
    else:
        found = _on_split(session, predictor, record, where)
    session.emit(found)
    alone = "each image with its mirror image" if predictor.checkpoint.flips else "each image alone"
    session.say(f"[dim]{escape(found['protocol'])}; {alone}[/]")
    for line in found["errors"]:
        session.say(f"[yellow]left out:[/] {escape(line)}")
    if found["unreadable"] > len(found["errors"]):
        session.say(f"[yellow]left out:[/] {found['unreadable'] - len(found['errors']):,} more")
    show_learned(session, found["learned"], found)
    show_metrics(session, found, title=f"Model {short(predictor.checkpoint.id)} on {escape(where)}")


def _on_dataset(
    session: Session, predictor: Predictor, record: Learned, spec: str, *, protocol: str | None, split: str | None
) -> dict[str, Any]:
    from emolab.datasets.benchmark_set import evaluation_set
    from emolab.training.judging.evaluate import evaluate as judge

    chosen = evaluation_set(spec, predictor.checkpoint.classes, protocol=protocol, split=split)
    found = judge(
        predictor,
        chosen.media,
        chosen.targets,
        names=chosen.names,
        supported=chosen.supported,
        protocol=chosen.protocol,
        record=record,
        progress=session.progress,
    )
    return {**found, "on": spec, "dropped": dict(chosen.dropped), "splits": list(chosen.splits)}


def _on_split(session: Session, predictor: Predictor, record: Learned, split: str) -> dict[str, Any]:
    from functools import partial

    import numpy as np

    from emolab.catalog import samples
    from emolab.errors import DataError
    from emolab.labeling.labels.current_labels import current_labels
    from emolab.training.inputs.media_check import read
    from emolab.training.judging.evaluate import evaluate as judge

    workspace, classes = session.workspace, predictor.checkpoint.classes
    labels = current_labels(workspace, progress=session.progress)
    hard = {sample: labels.classes[i] for sample, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        able = samples.supported(conn)
        labelled = [s for s in samples.iterate(conn, split=split) if s.id in hard]
    if not labelled:
        raise DataError(f"No labelled sample belongs to the split {split}.", hint='"emolab train" fills the splits.')
    found = [s for s in labelled if hard[s.id] in classes]
    foreign = Counter(hard[s.id] for s in labelled if hard[s.id] not in classes)
    if not found:
        raise DataError(
            f"All {many(len(labelled), 'sample')} of {split} are of classes the model does not know: "
            f"{_counts(foreign)}.",
            hint="Train a model on today's classes with: emolab train",
        )
    if foreign:
        session.progress.warn(f"Left out: {_counts(foreign)}, which the model does not know.")
    mask = np.array([[_can(able.get(s.source), name) for name in classes] for s in found], dtype=bool)
    result = judge(
        predictor,
        [partial(read, s.id, workspace.root / s.media) for s in found],
        np.array([classes.index(hard[s.id]) for s in found]),
        names=[s.name or s.id for s in found],
        supported=mask,
        protocol=f"{split} samples of this workspace against their current labels ({labels.method})",
        record=record,
        progress=session.progress,
    )
    return {**result, "on": split, "dropped": {f"unknown class {k}": n for k, n in foreign.items()}, "splits": [split]}


def _counts(classes: Mapping[str, int]) -> str:
    """Classes and how many samples each has, in words.

    >>> _counts({"fear": 3, "contempt": 1})
    '3 of fear, 1 of contempt'
    """
    return ", ".join(f"{n:,} of {name}" for name, n in classes.items())


def _can(names: tuple[str, ...] | None, name: str) -> bool:
    return names is None or name in names
