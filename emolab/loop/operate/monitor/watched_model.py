"""Which model is watched, and the log of what it was asked; in words what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import ConfigError, DataError, UnknownName
from emolab.words import short

if TYPE_CHECKING:
    from emolab.inference.served_model import ServedModel
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.workspace import Workspace

#: How the log is switched on.
SWITCH_ON = "Switch the log on in emolab.toml ([serve], log = true), then serve: emolab serve"


@dataclass(frozen=True, kw_only=True)
class WatchedModel:
    """A model with a log: its whole ``id``, the ``name`` it was asked for by, and the folder of its ``log``.

    ``record`` is what the catalog knows of it; ``None`` for a network that comes with emolab. ``folder`` holds its
    weights, where they are still there.
    """

    id: str
    name: str
    classes: tuple[str, ...]
    log: Path
    folder: Path
    record: Model | None
    retired: bool

    def served(self, workspace: Workspace, progress: Progress) -> ServedModel:
        """The network as `emolab serve` runs it. Raises :class:`DataError` where its weights are gone."""
        from emolab.loop.model.open_model import open_model

        if not (self.folder / "model.json").is_file():
            raise DataError(
                f"The weights of model {short(self.id)} are gone, so it cannot be asked about samples.",
                hint="Take what it was asked as the reference: emolab monitor MODEL --reference first",
            )
        return open_model(
            workspace, self.folder, engine=workspace.config.training.engine, alone="emolab monitor", progress=progress
        )


def watched_model(workspace: Workspace, name: str) -> WatchedModel:
    """The model that ``name`` means, with its log.

    Raises :class:`DataError` where it has none, with what there is instead; :class:`ConfigError` for a model without
    embeddings; :class:`UnknownName` for what is no model.
    """
    from emolab.loop.operate.served_columns import FOLDER
    from emolab.monitoring import served_log

    served = workspace.state / FOLDER
    logged = served_log.logged(served)
    record, folder, identity = _found(workspace, name, logged)
    _refuse_sentences(folder)
    retired = _retired(workspace)
    if identity not in logged:
        raise _no_log(workspace, name, identity, logged, retired)
    shape = served_log.shape_of(served / identity)
    return WatchedModel(
        id=identity,
        name=name,
        classes=shape.classes,
        log=served / identity,
        folder=folder,
        record=record,
        retired=identity in retired,
    )


def _found(workspace: Workspace, name: str, logged: list[str]) -> tuple[Model | None, Path, str]:
    """What the catalog knows of the model, the folder of its weights, and its whole id."""
    from emolab.inference import model_document
    from emolab.loop.model.models import find_model, outside

    folder = outside(name)
    if folder is not None:
        _refuse_sentences(folder)
        return None, folder, model_document.describe(folder).id
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


def _refuse_sentences(folder: Path) -> None:
    """Raise :class:`ConfigError` for a model that its modality runs by itself: it has no embeddings."""
    from emolab.modalities.own_models import own_document

    if (folder / "model.json").is_file() and own_document(folder) is not None:
        raise ConfigError(
            "Models of sentences have no embeddings, so what they are asked cannot be logged (serve.log).",
            hint="Label a sample of what comes in, and judge: emolab evaluate MODEL --on test",
        )
