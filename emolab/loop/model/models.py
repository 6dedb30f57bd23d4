"""Which model a name means, and what is known of all that were trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.results import Result, Table, plain_data
from emolab.words import short

if TYPE_CHECKING:
    from emolab.records import Model
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TrainedModels(Result):
    """All ``models`` of a workspace, newest last; to be counted and gone through like a list.

    ``retired`` (ids) are out of use; ``flags`` say by id what else there is to know.
    """

    models: list[Model]
    retired: frozenset[str] = frozenset()
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, place: int) -> Model:
        return self.models[place]

    def to_dict(self) -> dict[str, Any]:
        """Names, origin and headline figures of each, ready for JSON."""
        return {
            "models": [
                {
                    **row_of(model),
                    "retired": model.id in self.retired,
                    "flags": sorted(self.flags.get(model.id, ())),
                }
                for model in self.models
            ]
        }

    def tables(self) -> list[Table]:
        """One row a model, with what it reached on its validation samples."""
        told = ("backbone", "n_train", "n", "accuracy", "macro_f1", "created_at")
        rows = [[short(one.id), ", ".join(one.aliases), *(row_of(one)[key] for key in told)] for one in self.models]
        columns = ("model", "names", "backbone", "trained on", "validated on", "accuracy", "macro-F1", "made")
        return [Table("Trained models", columns, rows)]


@dataclass(frozen=True, slots=True)
class ModelDetails(Result):
    """All that is known of a model: its ``record``, and where its ``report`` is (``None``: it was not trained here)."""

    record: Model
    report: Path | None

    @property
    def id(self) -> str:
        """The model's id."""
        return self.record.id

    def to_dict(self) -> dict[str, Any]:
        """Names, origin, all metrics and settings, ready for JSON."""
        record = self.record
        return {**row_of(record), **plain_data({"metrics": record.metrics, "config": record.config}),
                "report": plain_data(self.report)}  # fmt: skip

    def tables(self) -> list[Table]:
        """Names and headline figures, and the settings."""
        head = {**row_of(self.record), "report": self.report}
        return [Table("Model", (), list(head.items())), Table("Settings", (), list(self.record.config.items()))]


def models(workspace: Workspace) -> TrainedModels:
    """All models of the workspace, newest last; none of them is no error."""
    from emolab.catalog import models as catalog_models
    from emolab.catalog.registry import model_events

    with workspace.catalog() as catalog, catalog.connect() as conn:
        state = model_events.state(conn)
        return TrainedModels(catalog_models.list_all(conn), state.retired, state.flags)


def model(workspace: Workspace, name: str = "champion") -> ModelDetails:
    """All about the model that ``name`` means: champion or another alias, or the start of an id.

    Raises :class:`UnknownName` with the nearest names.
    """
    found = find_model(workspace, name)
    return ModelDetails(found, report_of(workspace, found))


def find_model(workspace: Workspace, name: str) -> Model:
    """The model that ``name`` means. Raises :class:`UnknownName` with the nearest names."""
    from emolab.catalog import models as catalog_models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return catalog_models.get(conn, name)


def champion(workspace: Workspace) -> Model | None:
    """The model that the other commands use; ``None`` while there is none."""
    from emolab.catalog import models as catalog_models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return catalog_models.find(conn, "champion")


def bundled_network(modality: str) -> str | None:
    """The network of ``modality`` that comes with this emolab; ``None`` where it was built without one."""
    from emolab.modalities.modality import open_modality
    from emolab.training.networks import bundled

    network = open_modality(modality).network
    return None if network is None or bundled.folder(network.name) is None else network.name


def default_model(workspace: Workspace | None, modality: str | None = None) -> str:
    """The model that answers where none is named: the champion, else the network that comes with emolab.

    That is the one of ``modality`` [that of the workspace; image without one]. Raises :class:`DataError` where there is
    neither.
    """
    from emolab.errors import DataError
    from emolab.modalities.modality import open_modality

    if workspace is not None and champion(workspace) is not None:
        return "champion"
    wanted = modality or ("image" if workspace is None else workspace.config.project.modality)
    found = bundled_network(wanted)
    if found is None:
        raise DataError(
            f"There is no champion yet, and no model of {open_modality(wanted).noun}s comes with emolab.",
            hint="Train one, from labels of your own: emolab train",
        )
    return found


def row_of(model: Model) -> dict[str, Any]:
    """Names, origin and headline figures of ``model``, ready for JSON."""
    from emolab.modalities.preparing import NONE, NORMALISED

    valid = model.metrics["valid"]
    return {
        "id": model.id,
        "aliases": model.aliases,
        "backbone": model.config["backbone"],
        "normalised_by": NORMALISED.get(model.config.get("normalise", NONE)),
        "created_at": model.created_at,
        "snapshot": model.snapshot,
        "parent": model.parent,
        "n_train": model.metrics["n_train"],
        **{key: valid.get(key) for key in ("n", "accuracy", "macro_f1", "nll", "ece")},
    }


def report_of(workspace: Workspace, model: Model) -> Path | None:
    """The report of ``model``; ``None`` for a network that was not trained here."""
    report = workspace.root / model.path / "report.html"
    return report if report.is_file() else None


def outside(name: str) -> Path | None:
    """The checkpoint folder that ``name`` means wherever one is: a folder or a bundled model."""
    from emolab.training.networks import bundled

    path = Path(name)
    return path if (path / "model.json").is_file() else bundled.folder(name)


def exported(name: str | Path) -> Path | None:
    """The exported file that ``name`` is, if it is one: it needs no workspace and no folder."""
    from emolab.inference.runtime import SUFFIXES

    path = Path(name)
    return path if path.suffix.lower() in SUFFIXES and path.is_file() else None


def folder_in(workspace: Workspace | None, name: str) -> Path:
    """The checkpoint folder that ``name`` means: a folder, a bundled model, an alias or the start of an id.

    Without a workspace the latter two mean nothing. Raises :class:`UnknownName`.
    """
    from emolab.errors import UnknownName
    from emolab.training.networks import bundled

    found = outside(name)
    if found is not None:
        return found
    if workspace is None:
        raise UnknownName(
            "model",
            name,
            bundled.names(),
            hint="Models you trained are found in their workspace: emolab -w DIR COMMAND.",
        )
    return workspace.root / find_model(workspace, name).path
