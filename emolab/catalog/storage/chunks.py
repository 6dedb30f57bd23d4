"""Small pieces that every table needs: chunks of a list, an insert that skips what is there, an update of many rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, cast, column, update, values
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


def update_each(
    tx: Connection,
    key: Column[Any],
    target: Column[Any],
    changes: Mapping[Any, Any],
    to: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda value: value,
) -> None:
    """Set ``target`` in the rows whose ``key`` is in ``changes``, to the value there or to what ``to`` makes of it.

    On PostgreSQL many rows in one statement, for its triggers run once for each statement.
    """
    statement = update(key.table)
    if tx.dialect.name != "postgresql":
        each = statement.where(key == bindparam("the_key")).values(
            {target: to(bindparam("the_value", type_=target.type))}
        )
        for part in chunks(list(changes.items()), 2000):
            tx.execute(each, [{"the_key": one, "the_value": new} for one, new in part])
        return
    for part in chunks(list(changes.items()), 1000):
        rows = values(column("the_key", key.type), column("the_value", target.type), name="changes").data(list(part))
        new = to(cast(rows.c.the_value, target.type))
        tx.execute(statement.where(key == cast(rows.c.the_key, key.type)).values({target: new}))
