"""A model gets a name by somebody's decision, or gives it back to the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from emolab.catalog.registry import model_events
from emolab.catalog.registry.replay import CONTAINS_FORGOTTEN
from emolab.errors import DataError, EmolabError
from emolab.progress import SILENT
from emolab.results import Result, plain_data
from emolab.words import short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.stats.gate import GateVerdict
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Promoted(Result):
    """Which ``model`` (id) has the name ``alias`` now, which had it ``before``, and the ``reason`` that was given.

    ``gate`` is what the holdout said of it; ``None``: nothing was judged.
    """

    model: str
    alias: str
    before: str | None
    reason: str
    gate: dict[str, Any] | None = None


class GateBlocked(EmolabError):
    """The gate does not let a model take the place of the champion; ``verdict`` has the figures."""

    def __init__(self, model: str, verdict: GateVerdict) -> None:
        super().__init__(
            f"Model {short(model)} is blocked: {'; '.join(verdict.reasons)}.",
            hint=f"Decide otherwise, on record: emolab models promote {short(model)} --force --reason WHY",
        )
        self.verdict = verdict


def promote(
    workspace: Workspace,
    name: str,
    *,
    alias: str = "champion",
    reason: str | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Promoted:
    """Give the model that ``name`` means the name ``alias``, by default champion; ``reason`` is kept ["by hand"].

    Where there is a champion and the holdout has labels, the gate decides first; ``force`` promotes what it blocks, on
    record. One atomic move: servers follow it, and a process that dies on the way has moved everything or nothing.
    Where the model has the name already nothing changes. Raises :class:`GateBlocked` with the reasons,
    :class:`DataError` for what cannot be a name and for a model whose files are gone, :class:`UnknownName` for an
    unknown model, :class:`EmolabError` for one who may not do this.
    """
    from emolab.catalog import events, models
    from emolab.loop.model.registry.may_act import check_actor
    from emolab.loop.model.registry.pointer import moving
    from emolab.loop.model.tracking.tracking_server import names_told

    check_name(alias)
    check_actor(workspace)
    judged = _judge(workspace, name, force=force, progress=progress) if alias == "champion" else None
    why = reason or "by hand"
    with names_told(workspace, progress), moving(workspace) as tx:
        found = models.get(tx, name)
        check_files(workspace, found)
        before = models.aliases(tx).get(alias)
        if before != found.id:
            check_nothing_forgotten(tx, found.id)
        if judged is not None and (found.id, before) != judged.models:
            raise DataError("Another model was promoted while this one was judged.", hint="Run the command again.")
        if before != found.id:
            told = None if judged is None else judged.told
            detail = {"before": before, "gate": told, "forced": bool(told and not told["passed"])}
            model_events.record(tx, "promoted", found.id, alias=alias, reason=why, detail=detail)
            events.record(tx, "promote", {"model": found.id, "alias": alias, "before": before, "reason": why})
    return Promoted(found.id, alias, before, why, None if judged is None else judged.told)


class _Judged(NamedTuple):
    """The ids of the ``models`` that were judged, new and old, and what was ``told`` of them."""

    models: tuple[str, str]
    told: dict[str, Any]


def _judge(workspace: Workspace, name: str, *, force: bool, progress: Progress) -> _Judged | None:
    """What the gate says; ``None`` where there is nothing to judge by. Raises :class:`GateBlocked` unless ``force``."""
    from emolab.catalog import models
    from emolab.loop.model.registry.gate_models import gate, has_judges
    from emolab.stats.gate import GateVerdict

    with workspace.catalog() as catalog, catalog.connect() as conn:
        new, old = models.get(conn, name), models.find(conn, "champion")
        if old is None or old.id == new.id or not has_judges(conn):
            return None
    check_files(workspace, new)
    try:
        verdict = gate(workspace, new, old, progress=progress)
    except DataError as error:  # such as models with other classes
        if not force:
            raise
        verdict = GateVerdict(passed=False, reasons=(error.message,), document={"against": old.id})
    told = {"passed": verdict.passed, "reasons": list(verdict.reasons), **plain_data(verdict.document)}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        model_events.record(tx, "judged", new.id, reason="; ".join(verdict.reasons), detail=told)
    if not verdict.passed and not force:
        raise GateBlocked(new.id, verdict)
    return _Judged((new.id, old.id), told)


def rollback(
    workspace: Workspace,
    *,
    to: str | None = None,
    alias: str = "champion",
    reason: str | None = None,
    progress: Progress = SILENT,
) -> Promoted:
    """Give ``alias`` back to the model that had it before, or to the earlier one that ``to`` means.

    A second rollback goes one further back. Raises :class:`DataError` where there is nothing to go back to, or the
    model never had the name, or its files are gone; :class:`EmolabError` for one who may not do this.
    """
    from emolab.catalog import events, models
    from emolab.loop.model.registry.may_act import check_actor
    from emolab.loop.model.registry.pointer import moving
    from emolab.loop.model.tracking.tracking_server import names_told

    check_name(alias)
    check_actor(workspace)
    why = reason or "by hand"
    with names_told(workspace, progress), moving(workspace) as tx:
        before = models.aliases(tx).get(alias)
        found = models.get(tx, _earlier(tx, alias, to))
        check_files(workspace, found)
        if before != found.id:
            check_nothing_forgotten(tx, found.id)
        detail = {"model": found.id, "alias": alias, "before": before, "reason": why}
        if before != found.id:
            model_events.record(tx, "rolled_back", found.id, alias=alias, reason=why, detail={"before": before})
            events.record(tx, "rollback", detail)
    return Promoted(found.id, alias, before, why)


def check_name(alias: str) -> None:
    """Raise :class:`DataError` for what cannot be the name of a model."""
    if not alias.isidentifier() or len(alias) > 64:
        raise DataError(f'"{alias}" cannot be a name for a model: use letters, digits and "_", 64 at most.')


def check_files(workspace: Workspace, model: Model) -> None:
    """Raise :class:`DataError` where the folder of ``model`` is not there: a server could not load it."""
    if not (workspace.root / model.path).is_dir():
        raise DataError(
            f"The files of model {short(model.id)} are gone ({model.path}), so it cannot be used.",
            hint="Choose another one: emolab models list; or restore a backup that has it.",
        )


def check_nothing_forgotten(conn: Connection, model: str) -> None:
    """Raise :class:`DataError` where the ``model`` (id) learned from samples that were forgotten since."""
    if CONTAINS_FORGOTTEN in model_events.state(conn).flags.get(model, ()):
        raise DataError(
            f"Model {short(model)} learned from samples that were forgotten since, so it is not put to use.",
            hint="Train one without them: emolab train",
        )


def _earlier(conn: Connection, alias: str, to: str | None) -> str:
    """The id of the model that ``alias`` goes back to."""
    from emolab.catalog import models

    if to is None:
        found = model_events.state(conn).before(alias)
        if found is None:
            raise DataError(
                f"There is nothing to roll back to: no model in use now was {alias} before the one of today.",
                hint="See what was: emolab models history. Any model gets the name with: emolab models promote MODEL",
            )
        return found
    wanted = models.get(conn, to).id
    named = {event.model for event in model_events.read(conn, model=wanted) if event.alias == alias}
    if wanted not in named:
        raise DataError(
            f"Model {short(wanted)} has never been {alias}, so nothing can be rolled back to it.",
            hint=f"Give it the name with: emolab models promote {short(wanted)} --alias {alias}",
        )
    return wanted
