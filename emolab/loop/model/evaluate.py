"""How good a model is on a split of the workspace or on an open dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.model.models import folder_in
from emolab.progress import SILENT
from emolab.results import Result, Share, Table, plain_data
from emolab.words import many, short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.datasets.benchmark_set import EvaluationSet
    from emolab.progress import Progress
    from emolab.training.learned.learned_images import Learned
    from emolab.training.predict import Predictor
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Evaluation(Result):
    """What ``model`` (id) reached: ``figures`` by name; ``flips``: each image was judged with its mirror image."""

    model: str
    flips: bool
    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON: ``n``, ``accuracy``, ``macro_f1``, ``ece``, by class, what was left out."""
        return {name: plain_data(value) for name, value in self.figures.items()}

    def tables(self) -> list[Table]:
        """The headline figures, and one row a class."""
        told = (
            "on",
            "normalised_by",
            "n",
            "accuracy",
            "macro_f1",
            "micro_f1",
            "exact",
            "ece",
            "nll",
            "dropped",
            "unreadable",
        )
        head = [(name.replace("_", " "), found) for name in told if (found := self.figures.get(name))]
        found = [Table(f"Model {short(self.model)}, judged", (), head), class_table(self.figures["per_class"])]
        return [*found, *sets_table(self.figures["conformal"])]


def sets_table(rows: Sequence[Mapping[str, float]]) -> list[Table]:
    """How often the sets of classes held the right one, beside what the model states; none for one that states none."""
    columns = ("stated", "reached", "classes a set")
    shown = [[Share(row["coverage"]), Share(row["reached"]), round(row["size"], 2)] for row in rows]
    return [Table("Sets that hold the right class", columns, shown)] if rows else []


def class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Precision, recall and F1 of each class."""
    columns = ("class", "precision", "recall", "f1", "support")
    shown = [[Share(v) if isinstance(v := row.get(name), float) else v for name in columns] for row in rows]
    return Table("By class", columns, shown)


def evaluate(
    model: str | Path,
    on: str,
    *,
    workspace: Workspace | None = None,
    protocol: str | None = None,
    split: str | None = None,
    flips: bool | None = None,
    device: str | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Judge ``model`` (face48, champion, the start of an id, a folder) ``on`` a split, or a dataset ``READER:PATH``.

    A split (train, valid, test, holdout) is of ``workspace``. Of a dataset ``split`` is judged [the one held out
    furthest], by ``protocol`` [ferplus: majority]. ``flips`` judges each image with its mirror image [as the model was
    trained to].
    Raises :class:`UnknownName` for what is neither a split nor a dataset, :class:`DataError` where nothing is labelled.
    """
    from emolab.datasets.benchmark_set import is_spec
    from emolab.errors import ConfigError, MissingExtra
    from emolab.loop.model.judging.evaluate_own import evaluate_own
    from emolab.loop.model.predicting.predict_own import refuse_pictures_only
    from emolab.modalities.own_models import own_model

    check_place(on)
    folder = folder_in(workspace, str(model))
    if (own := own_model(folder)) is not None:
        refuse_pictures_only({"flips": flips, "protocol": protocol})
        found = evaluate_own(workspace, own, folder, on, split=split, progress=progress)
        return Evaluation(model=own.id, flips=False, figures=found)
    try:
        from emolab.training.learned import ancestry
        from emolab.training.predict import load
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    where = device or ("auto" if workspace is None else workspace.config.training.device)
    predictor, record = load(folder, device=where), ancestry.of_folder(folder)
    if flips is not None:
        predictor = predictor.with_flips(flips)
    if is_spec(on):
        found = _on_dataset(predictor, record, on, protocol=protocol, split=split, progress=progress)
    elif workspace is None:
        raise ConfigError(f"The split {on} is one of a workspace.", hint="Give workspace=emolab.open(PATH).")
    else:
        found = _on_split(workspace, predictor, record, on, progress)
    found["speakers"] = predictor.checkpoint.metrics.get("speakers")
    return Evaluation(model=predictor.checkpoint.id, flips=predictor.checkpoint.flips, figures=found)


def check_place(on: str) -> None:
    """Raise :class:`UnknownName` where ``on`` is neither a split nor a dataset."""
    from emolab.datasets.benchmark_set import is_spec
    from emolab.errors import UnknownName
    from emolab.records import HOLDOUT, SPLITS

    if not is_spec(on) and on not in (*SPLITS, HOLDOUT):
        raise UnknownName(
            "split or dataset", on, (*SPLITS, HOLDOUT), hint="A dataset is READER:PATH, such as ferplus:FILE.zip."
        )


def _on_dataset(
    predictor: Predictor, record: Learned, spec: str, *, protocol: str | None, split: str | None, progress: Progress
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
        tables=_tables(predictor, chosen, progress),
        progress=progress,
    )
    return {**found, "on": spec, "dropped": dict(chosen.dropped), "splits": list(chosen.splits)}


def _tables(predictor: Predictor, chosen: EvaluationSet, progress: Progress) -> list[NDArray[np.uint8]] | None:
    """The table of the speaker of each of ``chosen``, by all of its clips there; ``None`` for a model without."""
    from functools import partial

    from emolab.loop.model.predicting.speaker_groups import tables_of

    wanted = predictor.checkpoint.preprocessing
    if wanted.normalised_by is None:
        return None
    speakers = chosen.groups or [None] * chosen.n
    return tables_of([partial(_as_it_is, one) for one in chosen.media], speakers, wanted, progress=progress)


def _as_it_is(media: bytes | Path) -> bytes | Path:
    return media


def _on_split(
    workspace: Workspace, predictor: Predictor, record: Learned, split: str, progress: Progress
) -> dict[str, Any]:
    from functools import partial

    import numpy as np

    from emolab.catalog import samples
    from emolab.errors import DataError
    from emolab.labeling.labels.current_labels import current_labels
    from emolab.loop.model.judging.evaluate_own import nobody_judges
    from emolab.training.inputs.media_check import read
    from emolab.training.inputs.speaker_tables import of_samples
    from emolab.training.judging.evaluate import evaluate as judge

    classes = predictor.checkpoint.classes
    labels = current_labels(workspace, progress=progress)
    hard = {sample: labels.classes[i] for sample, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        able = samples.supported(conn)
        labelled = [s for s in samples.iterate(conn, split=split) if s.id in hard]
    if not labelled:
        raise nobody_judges(split)
    found = [s for s in labelled if hard[s.id] in classes]
    foreign = Counter(hard[s.id] for s in labelled if hard[s.id] not in classes)
    if not found:
        raise DataError(
            f"All {many(len(labelled), 'sample')} of {split} are of classes the model does not know: "
            f"{_counts(foreign)}.",
            hint="Train a model on today's classes with: emolab train",
        )
    if foreign:
        progress.warn(f"Left out: {_counts(foreign)}, which the model does not know.")
    mask = np.array([[_can(able.get(s.source), name) for name in classes] for s in found], dtype=bool)
    result = judge(
        predictor,
        [partial(read, s.id, workspace.root / s.media) for s in found],
        np.array([classes.index(hard[s.id]) for s in found]),
        names=[s.name or s.id for s in found],
        supported=mask,
        protocol=f"{split} samples of this workspace against their current labels ({labels.method})",
        record=record,
        tables=of_samples(workspace, [s.id for s in found], predictor.checkpoint.preprocessing, progress=progress),
        progress=progress,
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
