"""The audit trail: what emolab did, when. Only ever added to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.engine import now

_events = schema.events


def record(tx: Connection, kind: str, detail: Mapping[str, Any]) -> None:
    """Add one event, for example ``record(tx, "pull", {"new": 12})``. Never put secrets into ``detail``."""
    tx.execute(insert(_events).values(at=now(), kind=kind, detail=dict(detail)))


def latest(conn: Connection, kind: str | None = None, *, limit: int = 10) -> list[dict[str, Any]]:
    """The newest events, newest first."""
    query = select(_events.c.at, _events.c.kind, _events.c.detail).order_by(_events.c.pk.desc()).limit(limit)
    if kind is not None:
        query = query.where(_events.c.kind == kind)
    return [dict(row._mapping) for row in conn.execute(query)]
