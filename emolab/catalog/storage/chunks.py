"""Small pieces that every table needs: chunks of a list, and an insert that skips what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """``items`` in order, in pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def insert_or_ignore(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``, leaving rows with a key that is there already as they are."""
    build = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = build(table).on_conflict_do_nothing()
    for part in chunks(rows, 1000):
        tx.execute(statement, [dict(row) for row in part])
