"""Catalogs of an earlier emolab: what later migrations brought is taken off again."""

from __future__ import annotations

from sqlalchemy import Connection

#: What takes off what each migration brought, the newest first.
LATER = (
    ("0013", ("DROP TABLE action_changes", "DROP TABLE actions")),
    ("0012", ("DROP TABLE consents",)),
    (
        "0011",
        (
            "DROP TABLE model_events",
            "CREATE TABLE model_aliases (pk INTEGER, alias VARCHAR(64), model VARCHAR(64), at VARCHAR(32))",
        ),
    ),
    ("0010", tuple(f"ALTER TABLE {table} DROP COLUMN also" for table in ("votes", "app_answers"))),
)


def rewind(tx: Connection, revision: str) -> None:
    """Make the catalog one of ``revision``, not older than 0009; the newest migration must be in :data:`LATER`."""
    from emolab.catalog.storage.engine import HEAD

    assert LATER[0][0] == HEAD, f"say in {__name__} what migration {HEAD} brought"
    for later, statements in LATER:
        if later > revision:
            for statement in statements:
                tx.exec_driver_sql(statement)
    tx.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
