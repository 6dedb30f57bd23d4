"""Which model is watched, and the log of what it was asked; in words what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import DataError, UnknownName
from emolab.words import short

if TYPE_CHECKING:
    from emolab.loop.operate.logged_models import LoggedModel
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.workspace import Workspace

#: How the log is switched on.
SWITCH_ON = "Switch the log on in emolab.toml ([serve], log = true), then serve: emolab serve"


@dataclass(frozen=True, kw_only=True)
class WatchedModel:
    """A model with a log: its whole ``id``, the ``name`` it was asked for by, and the folder of its ``log``.

    ``record`` is what the catalog knows of it; ``None`` for a network that comes with emolab. ``folder`` holds its
    weights, where they are still there. ``thresholds`` are those of its log: none where each sample has one label.
    """

    id: str
    name: str
    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    log: Path
    folder: Path
    record: Model | None
    retired: bool

    def served(self, workspace: Workspace, progress: Progress) -> LoggedModel:
        """The model as `emolab serve` runs it. Raises :class:`DataError` where its weights are gone."""
        from emolab.loop.model.open_model import open_model
        from emolab.loop.operate.logged_models import LoggedNetwork, LoggedOwn
        from emolab.modalities.own_models import own_model

        if not (self.folder / "model.json").is_file():
            raise DataError(
                f"The weights of model {short(self.id)} are gone, so it cannot be asked about samples.",
                hint="Take what it was asked as the reference: emolab monitor MODEL --reference first",
            )
        own = own_model(self.folder)
        if own is not None:
            return LoggedOwn(own)
        engine = workspace.config.training.engine
        return LoggedNetwork(
            open_model(workspace, self.folder, engine=engine, alone="emolab monitor", progress=progress)
        )


def watched_model(workspace: Workspace, name: str) -> WatchedModel:
    """The model that ``name`` means, with its log.

    Raises :class:`DataError` where it has none, with what there is instead; :class:`UnknownName` for what is no model.
    """
    from emolab.loop.operate.served_columns import FOLDER
    from emolab.monitoring import served_log

    served = workspace.state / FOLDER
    logged = served_log.logged(served)
    record, folder, identity = _found(workspace, name, logged)
    retired = _retired(workspace)
    if identity not in logged:
        raise _no_log(workspace, name, identity, logged, retired)
    shape = served_log.shape_of(served / identity)
    return WatchedModel(
        id=identity,
        name=name,
        classes=shape.classes,
        thresholds=shape.thresholds,
        log=served / identity,
        folder=folder,
        record=record,
        retired=identity in retired,
    )


def _found(workspace: Workspace, name: str, logged: list[str]) -> tuple[Model | None, Path, str]:
    """What the catalog knows of the model, the folder of its weights, and its whole id."""
    from emolab.inference import model_document
    from emolab.loop.model.models import find_model, outside
    from emolab.modalities.own_models import own_model

    folder = outside(name)
    if folder is not None:
        own = own_model(folder)
        return None, folder, model_document.describe(folder).id if own is None else own.id
    try:
        record = find_model(workspace, name)
    except UnknownName:
        if name == "champion":
            raise DataError(
                "There is no champion yet.",
                hint=_others(workspace, logged, frozenset())
                or f"Train one: emolab train. Then keep what it is asked. {SWITCH_ON}",
            ) from None
        raise
    return record, workspace.root / record.path, record.id


def _no_log(workspace: Workspace, name: str, identity: str, logged: list[str], retired: frozenset[str]) -> DataError:
    """The error that says which logs there are."""
    said = f"Nothing that model {short(identity)} ({name}) was asked has been logged."
    return DataError(said, hint=_others(workspace, logged, retired) or SWITCH_ON)


def _others(workspace: Workspace, logged: list[str], retired: frozenset[str]) -> str:
    """What to type for the models that have a log; empty where there is none."""
    if not logged:
        return ""
    bundled = _bundled_names()
    told = [f"{bundled.get(one, short(one))}{' (retired)' if one in retired else ''}" for one in logged]
    on = "" if workspace.config.serve.log else f" {SWITCH_ON}"
    return f"There are logs of {', '.join(told)}: emolab monitor {bundled.get(logged[-1], short(logged[-1]))}.{on}"


def _bundled_names() -> dict[str, str]:
    """The networks that come with emolab: name by id."""
    from emolab.inference import model_document
    from emolab.training.networks import bundled

    return {model_document.describe(bundled.ROOT / name).id: name for name in bundled.names()}


def _retired(workspace: Workspace) -> frozenset[str]:
    from emolab.catalog.registry import model_events

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return model_events.state(conn).retired
