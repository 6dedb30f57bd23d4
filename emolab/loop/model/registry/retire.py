"""Models out of use, and their files out of the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result
from emolab.words import many, short

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Retired(Result):
    """The ``model`` (id) that is out of use now, and the ``reason`` that was given."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class CleanedModels(Result):
    """Models (ids) whose files were ``deleted``, or would be with a dry run; why each of the others was ``kept``.

    ``bytes``: what that frees.
    """

    deleted: list[str]
    kept: dict[str, str]
    bytes: int
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Ids, reasons and bytes, ready for JSON."""
        return {"dry_run": self.dry_run, "deleted": self.deleted, "kept": self.kept, "bytes": self.bytes}


def retire(workspace: Workspace, name: str, *, reason: str | None = None, progress: Progress = SILENT) -> Retired:
    """Take the model that ``name`` means out of use: no rollback goes to it, and ``models gc`` may delete its files.

    Raises :class:`DataError` for one that has a name: that one is in use.
    """
    from emolab.catalog import events, models
    from emolab.catalog.registry import model_events
    from emolab.errors import DataError
    from emolab.loop.model.registry.may_act import check_actor
    from emolab.loop.model.registry.pointer import moving
    from emolab.loop.model.tracking.tracking_server import names_told

    check_actor(workspace)
    why = reason or "by hand"
    with names_told(workspace, progress), moving(workspace) as tx:
        found = models.get(tx, name)
        if found.aliases:
            raise DataError(
                f"Model {short(found.id)} is {' and '.join(found.aliases)}, so it is in use.",
                hint=f"Give the name to another one first: emolab models promote MODEL --alias {found.aliases[0]}",
            )
        if found.id not in model_events.state(tx).retired:
            model_events.record(tx, "retired", found.id, reason=why)
            events.record(tx, "retire", {"model": found.id, "reason": why})
    return Retired(found.id, why)


def clean_models(
    workspace: Workspace, *, agree: Callable[[CleanedModels], None] | None = None, dry_run: bool = False
) -> CleanedModels:
    """Delete the files of retired models: weights, reports and predictions. What the catalog knows of them stays.

    A model stays that has a name, that another model came from, or that an unfinished training or a kept snapshot
    names. ``agree`` is called with the plan before anything goes, and refuses by raising. Stopped on the way, it goes
    on at the next call. Raises :class:`EmolabError` for one who may not do this.
    """
    from emolab.catalog.registry import model_events
    from emolab.catalog.registry.replay import FILES_DELETED
    from emolab.loop.model.registry.may_act import check_actor
    from emolab.loop.model.registry.pointer import moving

    check_actor(workspace)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = _plan(workspace, conn)[0]
    if dry_run:
        return found
    if agree is not None and found.deleted:
        agree(found)
    with moving(workspace) as tx:
        plan, going = _plan(workspace, tx)
        flags = model_events.state(tx).flags
        for model in going:
            if FILES_DELETED not in flags.get(model.id, ()):
                model_events.record(tx, "flagged", model.id, reason="models gc", detail={"flag": FILES_DELETED})
        for model in going:
            for place in _places(workspace, model):
                shutil.rmtree(place, ignore_errors=False)
    return CleanedModels(plan.deleted, plan.kept, plan.bytes, dry_run=False)


def _plan(workspace: Workspace, conn: Connection) -> tuple[CleanedModels, list[Model]]:
    """What can go as of now, as a dry run tells it, and those models."""
    from emolab.catalog import models
    from emolab.catalog.registry import model_events

    state, known = model_events.state(conn), models.list_all(conn)
    there = [one for one in known if one.id in state.retired and _places(workspace, one)]
    going = {one.id for one in there if not one.aliases}
    kept: dict[str, str] = {}
    while True:  # one that stays may need another one that was to go
        staying = [one for one in known if one.id not in going and _places(workspace, one)]
        needed = _needed(workspace, staying, {one.id: one for one in there})
        held = {name: why for name, why in needed.items() if name in going}
        if not held:
            break
        kept |= held
        going -= held.keys()
    leave = [one for one in there if one.id in going]
    size = sum(_size(place) for one in leave for place in _places(workspace, one))
    return CleanedModels([one.id for one in leave], kept, size, dry_run=True), leave


def _needed(workspace: Workspace, staying: list[Model], retired: dict[str, Model]) -> dict[str, str]:
    """Which of the ``retired`` models something needs, and what."""
    found: dict[str, str] = {}
    for model in staying:
        told = str(dict(model.config))
        for name, other in retired.items():
            if name != model.id and (model.parent == name or name in told or _named(workspace, other, told)):
                found[name] = f"model {short(model.id)} came from it"
    for file in _documents(workspace):
        text = file.read_text(encoding="utf-8", errors="replace")
        for name, other in retired.items():
            if name in text or _named(workspace, other, text):
                found[name] = f"{file.relative_to(workspace.root).as_posix()} names it"
    return found


def _named(workspace: Workspace, model: Model, text: str) -> bool:
    """Whether ``text`` names the folder of ``model``."""
    return model.path in text or (workspace.root / model.path).as_posix() in text


def _documents(workspace: Workspace) -> list[Path]:
    """What tells which data and models a snapshot or an unfinished training needs."""
    runs = workspace.state / "runs"
    return sorted([*workspace.snapshots.rglob("*.json"), *runs.rglob("*.json")])


def _places(workspace: Workspace, model: Model) -> list[Path]:
    """The folders of ``model`` that are there; never one outside of the workspace's own folders."""
    own = workspace.root / model.path
    found = [own] if own.parent == workspace.models else []
    return [place for place in (*found, workspace.predictions_folder / model.id) if place.is_dir()]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def freed(done: CleanedModels) -> str:
    """How many models go, and how much room that makes, in words."""
    return f"{many(len(done.deleted), 'model')}, {done.bytes / 1e6:,.1f} MB"
