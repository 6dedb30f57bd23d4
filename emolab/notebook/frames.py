"""Samples, votes, labels and predictions of a workspace as pandas data frames."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from emolab.errors import DataError, MissingExtra
from emolab.notebook.command_names import python_hints

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    from emolab.catalog import Catalog
    from emolab.records import Model
    from emolab.workspace import Workspace

    DataFrame: TypeAlias = pd.DataFrame


@python_hints()
def samples(workspace: Workspace) -> DataFrame:
    """One row a sample, by its id: file, source, group, split, size, consent, licence, measures of quality, votes.

    ``file`` is below the workspace's root; ``votes`` counts the people who said something; ``representative`` is the
    sample that stands for near copies.
    """
    from emolab.catalog import pool_columns
    from emolab.catalog import samples as table

    frames = _pandas()
    with workspace.catalog() as catalog, catalog.connect() as conn:
        rows = [{**_fields(sample), **_quality(sample.quality)} for sample in table.iterate(conn)]
        votes = dict(zip((pool := pool_columns.read(conn)).ids, pool.votes.tolist(), strict=True))
    frame: DataFrame = frames.DataFrame(rows, columns=None if rows else ["id"])
    frame = frame.rename(columns={"media": "file"}).drop(columns="quality", errors="ignore").set_index("id")
    frame["votes"] = [votes.get(name, 0) for name in frame.index]
    return frame


@python_hints()
def votes(workspace: Workspace) -> DataFrame:
    """One row a vote that counts or is kept as rejected: sample, annotator (a pseudonym), label, time, round, guess.

    ``label`` is a class, ``unknown``, ``no_face`` or ``multiple``, and missing for a skip; ``lead_time`` in seconds.
    ``also`` holds further labels of the same answer.
    """
    from emolab.catalog import votes as table
    from emolab.records import Vote

    with workspace.catalog() as catalog, catalog.connect() as conn:
        rows = [_fields(vote) for vote in table.iterate(conn)]
    names = [field.name for field in dataclasses.fields(Vote)]
    frame: DataFrame = _pandas().DataFrame(rows, columns=names)
    return frame.rename(columns={"sample_id": "sample"})


@python_hints()
def labels(workspace: Workspace) -> DataFrame:
    """One row a label by its sample: ``label``, ``votes``, ``agreement`` in 0..1, and each class's share as ``p_NAME``.

    They are the stored ones, made by the last aggregation. Raises :class:`DataError` where there are none.
    """
    from emolab.catalog import labels as table

    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = table.current(conn)
    if found is None:
        raise DataError("There are no labels yet.", hint="Make them with: emolab.aggregate(workspace)")
    classes = found.classes
    columns = {
        "label": [classes[i] for i in found.hard.tolist()],
        "votes": found.votes,
        "agreement": found.agreement,
        **{f"p_{name}": found.probs[:, i] for i, name in enumerate(classes)},
    }
    frame: DataFrame = _pandas().DataFrame(columns, index=_index(found.samples))
    return frame


@python_hints()
def predictions(workspace: Workspace, model: str = "champion") -> DataFrame:
    """One row a prediction that is stored of ``model``, by its sample: ``label``, ``confidence``, shares as ``p_NAME``.

    Raises :class:`DataError` where the model has seen no sample yet, :class:`UnknownName` for an unknown model.
    """
    from emolab.inference import prediction_store

    with workspace.catalog() as catalog:
        found = _model(catalog, model)
    folder = workspace.predictions_folder / found.id
    if not prediction_store.known(folder):
        raise DataError(
            f"The model {found.id[:10]} has not looked at the samples yet.",
            hint="emolab.suggest(workspace) and emolab.inspect(workspace) let it.",
        )
    stored = prediction_store.read(folder)
    best = stored.probs.argmax(axis=1)
    columns = {
        "label": [stored.classes[i] for i in best.tolist()],
        "confidence": stored.probs.max(axis=1),
        **{f"p_{name}": stored.probs[:, i] for i, name in enumerate(stored.classes)},
    }
    frame: DataFrame = _pandas().DataFrame(columns, index=_index(stored.samples))
    return frame


def _model(catalog: Catalog, name: str) -> Model:
    from emolab.catalog import models

    with catalog.connect() as conn:
        return models.get(conn, name)


def _fields(record: object) -> dict[str, object]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}  # type: ignore[arg-type]


def _quality(measures: object) -> dict[str, object]:
    return {f"quality_{name}": value for name, value in dict(measures).items()}  # type: ignore[call-overload]


def _index(samples: list[str]) -> pd.Index[str]:
    found: pd.Index[str] = _pandas().Index(samples, name="sample")
    return found


def _pandas() -> ModuleType:
    try:
        return import_module("pandas")
    except ImportError as error:
        raise MissingExtra("pandas", "notebook") from error
