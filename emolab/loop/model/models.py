"""Which model a name means, and what is known of all that were trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.records import Model
    from emolab.workspace import Workspace


def models(workspace: Workspace) -> list[Model]:
    """All models of the workspace, newest last."""
    from emolab.catalog import models as catalog_models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return catalog_models.list_all(conn)


def model(workspace: Workspace, name: str = "champion") -> Model:
    """The model that ``name`` means: champion or another alias, or the start of an id.

    Raises :class:`UnknownName` with the nearest names.
    """
    from emolab.catalog import models as catalog_models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return catalog_models.get(conn, name)


def champion(workspace: Workspace) -> Model | None:
    """The model that the other commands use; ``None`` while there is none."""
    from emolab.catalog import models as catalog_models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return catalog_models.find(conn, "champion")


def row_of(model: Model) -> dict[str, Any]:
    """Names, origin and headline figures of ``model``, ready for JSON."""
    valid = model.metrics["valid"]
    return {
        "id": model.id,
        "aliases": model.aliases,
        "backbone": model.config["backbone"],
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
    return workspace.root / model(workspace, name).path
