"""The data each model saw: a content hash and the file that lists it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import insert_or_ignore
from emolab.records import Snapshot

_snapshots = schema.snapshots


def add(tx: Connection, snapshot: Snapshot) -> None:
    """Record ``snapshot``; the same content again changes nothing."""
    insert_or_ignore(
        tx,
        _snapshots,
        [
            {
                "id": snapshot.id,
                "path": snapshot.path,
                "n": snapshot.n,
                "label_version": snapshot.label_version,
                "created_at": snapshot.created_at,
            }
        ],
    )


def find(conn: Connection, snapshot_id: str) -> Snapshot | None:
    """The snapshot with this id, or ``None``."""
    row = conn.execute(select(_snapshots).where(_snapshots.c.id == snapshot_id)).one_or_none()
    return None if row is None else Snapshot(**row._mapping)
