"""New catalogs in tests: the migrations make the first of a process, and all later ones are copied from it.

They take a tenth of a second, more than most tests do, and thousands of tests begin with a new workspace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine

from emolab.catalog import Catalog
from emolab.catalog.storage.database_errors import explained

by_migrations = Catalog._upgrade


@pytest.fixture(scope="session", autouse=True)
def copied_catalogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every new SQLite catalog of this process gets the statements that lead to the first one.

    An older one, one on a server and one that another process has begun meanwhile go through the migrations.
    """
    statements: list[str] = []

    def upgrade(self: Catalog, engine: Engine, url: URL, version: str | None) -> None:
        if version is None and engine.dialect.name == "sqlite":
            if not statements:
                statements.extend(statements_of_a_new_one(tmp_path_factory.mktemp("catalog") / "new.db"))
            with explained(url), engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
                if not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar():
                    for statement in statements:
                        connection.exec_driver_sql(statement)
                    return
        by_migrations(self, engine, url, version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalog, "_upgrade", upgrade)
        yield


def statements_of_a_new_one(file: Path) -> list[str]:
    """What SQLite would have to be told to make a new catalog; ``file`` becomes one, by the migrations."""
    with pytest.MonkeyPatch.context() as patch, Catalog(f"sqlite:///{file}") as catalog:
        patch.setattr(Catalog, "_upgrade", by_migrations)
        catalog.migrate()
    with closing(sqlite3.connect(file)) as connection:
        return [statement for statement in connection.iterdump() if statement not in {"BEGIN TRANSACTION;", "COMMIT;"}]
