"""The workspace in FiftyOne: written as a view, looked at in its App, and votes brought back from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emolab.progress import SILENT
from emolab.words import short

if TYPE_CHECKING:
    from emolab.datasets.inspect.fiftyone_view import AppEdits, ViewReport
    from emolab.progress import Progress
    from emolab.records import Predictions
    from emolab.workspace import Workspace


def inspect(workspace: Workspace, *, model: str = "champion", progress: Progress = SILENT) -> ViewReport:
    """Write the workspace into a FiftyOne dataset, with the predictions of ``model``; only what changed is written.

    Raises :class:`EmolabError` where FiftyOne or its database is missing, or its App cannot show such samples.
    """
    from emolab.datasets.inspect import fiftyone_view
    from emolab.errors import ConfigError
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.modalities.modality import open_modality

    modality = open_modality(workspace.config.project.modality)
    if not modality.in_fiftyone:
        raise ConfigError(
            f"FiftyOne's App shows no {modality.noun}s.",
            hint="Look at them on the page Data of the app: emolab serve --app",
        )
    address = _database(workspace, progress)
    if workspace.read_only:
        progress.note(
            f"The workspace may only be read, so labels and predictions are shown as they are. The view lies in "
            f"{workspace.fiftyone}."
        )
    else:
        labels_if_any(workspace, progress=progress)
    predictions = predictions_to_show(workspace, model, progress)
    return fiftyone_view.write(
        workspace, address, predictions=predictions, moved=moved_to_show(workspace, model), progress=progress
    )


def moved_to_show(workspace: Workspace, name: str) -> list[str]:
    """The samples that `emolab monitor` named last for a model, the farthest away first."""
    from emolab.catalog import models
    from emolab.loop.look.moved_record import read_moved

    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, name)
    kept = None if model is None else read_moved(workspace, model.id)
    return [] if kept is None else [sample for sample, _, _ in kept.loudest]


def pull_edits(workspace: Workspace, *, annotator: str, progress: Progress = SILENT) -> AppEdits:
    """Bring tags and labels that were changed in the App back as votes of ``annotator``.

    Raises :class:`EmolabError` where FiftyOne or its database is missing, or nothing was written there yet.
    """
    from emolab.datasets.inspect import fiftyone_view

    return fiftyone_view.pull(workspace, _database(workspace, progress), annotator=annotator)


@contextmanager
def app(workspace: Workspace, *, port: int | None = None) -> Iterator[str]:
    """FiftyOne's App on the dataset of :func:`inspect`, at the address given; a context manager."""
    from emolab.datasets.inspect import fiftyone_view

    with fiftyone_view.app(workspace, _database(workspace, SILENT), port=port) as url:
        yield url


def _database(workspace: Workspace, progress: Progress) -> str:
    """The address of FiftyOne's database, started and connected to where that is not done yet."""
    from emolab.datasets.inspect import mongod

    with progress.task("starting FiftyOne"):
        address = mongod.database(workspace.fiftyone)
        from emolab.datasets.inspect import fiftyone_view

        fiftyone_view.connect(address)
    return address


def predictions_to_show(workspace: Workspace, name: str, progress: Progress) -> Predictions | None:
    """What the model says about the samples, computed where it is missing and training is installed."""
    from importlib.util import find_spec

    from emolab.catalog import models, samples
    from emolab.inference import prediction_store

    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, name) if name == "champion" else models.get(conn, name)
        total = samples.count(conn)
    if model is None or total == 0:
        return None
    classes = workspace.config.project.classes
    if set(model.classes) != set(classes):
        progress.note(f"Model {short(model.id)} has other classes than the project; its predictions are left out.")
        return None
    folder = workspace.predictions_folder / model.id
    stored = len(prediction_store.known(folder))
    if stored < total and not workspace.read_only and find_spec("torch") and (workspace.root / model.path).is_dir():
        from emolab.training.predict import predict_pool

        return prediction_store.in_order(predict_pool(workspace, model, progress=progress), classes)
    if stored < total:
        progress.note(f"Model {short(model.id)} has seen {stored:,} of {total:,} samples; the rest show no prediction.")
    return prediction_store.in_order(prediction_store.read(folder), classes) if stored else None
