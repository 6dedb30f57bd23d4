"""The events of models in the catalog: added, read, and replayed up to any moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from emolab.catalog.registry.actor import actor as who
from emolab.catalog.registry.replay import KINDS, ModelEvent, RegistryState, replay
from emolab.catalog.storage import schema
from emolab.catalog.storage.engine import now
from emolab.errors import UnknownName

_events = schema.model_events
_ONE_AT_A_TIME = 0x6D6F64656C73  # "models"


def record(
    tx: Connection,
    kind: str,
    model: str,
    *,
    alias: str | None = None,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
    actor: str | None = None,
    at: str | None = None,
) -> None:
    """Add one event; ``actor`` [who acts], ``at`` [now]. Never put secrets into ``detail``.

    Events are never older than the ones before them, whatever a clock says, so that the order and the times agree.
    Raises :class:`UnknownName` for a kind that there is not.
    """
    if kind not in KINDS:
        raise UnknownName("kind of event", kind, KINDS)
    if tx.dialect.name == "postgresql":  # one writer at a time, as SQLite's BEGIN IMMEDIATE sees to
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})")
    newest = tx.execute(select(func.max(_events.c.at))).scalar() or ""
    row = {"kind": kind, "model": model, "alias": alias, "reason": reason, "detail": dict(detail or {})}
    tx.execute(insert(_events).values(at=max(at or now(), newest), actor=who() if actor is None else actor, **row))


def read(conn: Connection, *, until: str | None = None, model: str | None = None) -> list[ModelEvent]:
    """All events in their order; ``until`` a moment (ISO 8601 in UTC, itself included), of one ``model``."""
    columns = (_events.c.kind, _events.c.model, _events.c.alias, _events.c.at, _events.c.actor, _events.c.reason)
    query = select(*columns, _events.c.detail).order_by(_events.c.pk)
    if until is not None:
        query = query.where(_events.c.at <= until)
    if model is not None:
        query = query.where(_events.c.model == model)
    return [ModelEvent(**row._mapping) for row in conn.execute(query)]


def state(conn: Connection, at: str | None = None) -> RegistryState:
    """Which model has which name, what is retired and what is flagged, now or ``at`` a moment (ISO 8601 in UTC)."""
    return replay(read(conn, until=at))
