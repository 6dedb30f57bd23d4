"""Opening the catalog: SQLite in WAL mode by default, any SQLAlchemy URL otherwise; migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from emolab.errors import ConfigError, DataError, EmolabError

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

#: The newest migration; a test keeps it in step with ``migrations/versions``.
HEAD = "0003"

#: How long a writer waits for another one, in seconds.
BUSY_SECONDS = 60

_MIGRATION_LOCK = 0x656D6F6C6162  # "emolab"


class Catalog:
    """A connection pool to the catalog; a context manager that closes it.

    >>> with Catalog("sqlite:///catalog.db") as catalog:  # doctest: +SKIP
    ...     with catalog.begin() as tx:
    ...         samples.add(tx, batch)
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine; opened and brought to the newest schema on first use."""
        engine = self._open()
        with _explained(self.url):
            version = _version(engine)
        if version != HEAD:
            if version is not None and version > HEAD:
                raise EmolabError(
                    f"The catalog was written by a newer emolab (schema {version}, this one knows {HEAD}).",
                    hint="Upgrade with: pip install --upgrade emolab",
                )
            self._upgrade(engine)
        return engine

    def migrate(self) -> None:
        """Create or upgrade the schema. Safe to call at any time, by several processes at once."""
        _ = self.engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back on any exception."""
        with _explained(self.url), _writer(self.engine).begin() as connection:
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, never a lock on writers."""
        with _explained(self.url), self.engine.connect() as connection:
            yield connection

    def problems(self) -> list[str]:
        """What is wrong with the catalog file, in words; empty when it is healthy."""
        with self.connect() as connection:
            if connection.dialect.name != "sqlite":
                return []
            rows = connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all()
            found = [str(row) for row in rows if row != "ok"]
            orphans = len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(11))
        return found + ([f"{orphans} rows point to nothing"] if orphans else [])

    def close(self) -> None:
        """Give back all connections."""
        if "engine" in self.__dict__:
            self.engine.dispose()
            del self.__dict__["engine"]

    def _open(self) -> Engine:
        try:
            url = make_url(self.url)
            if url.drivername.startswith("sqlite"):
                engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
                event.listen(engine, "connect", _prepare_sqlite)
                event.listen(engine, "begin", _begin_sqlite)
            else:
                engine = create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ConfigError(
                f"catalog.url is not a usable database address: {error}.",
                hint="Example: postgresql+psycopg://user@host/emolab",
            ) from error
        return engine

    def _upgrade(self, engine: Engine) -> None:
        from alembic import command

        with _explained(self.url), _writer(engine).begin() as connection:
            if connection.dialect.name == "postgresql":  # one migration at a time; SQLite's BEGIN IMMEDIATE does that
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def alembic_config() -> AlembicConfig:
    """Alembic's view of the migrations that come with emolab."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def now() -> str:
    """The present moment as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def _writer(engine: Engine) -> Engine:
    return engine.execution_options(sqlite_begin="IMMEDIATE")


def _begin_sqlite(connection: Connection) -> None:
    """Say BEGIN ourselves: the driver would wait for the first write, and a late upgrade to writer can fail."""
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.close()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        if "locked" in reason:
            raise EmolabError(
                f"The catalog stayed locked by another process for {BUSY_SECONDS} s.",
                hint="Wait for the other emolab command to end and run this again.",
            ) from error
        if "disk" in reason and "full" in reason:
            raise EmolabError(
                "The disk is full: the catalog could not be written; nothing of this step was kept.",
                hint="Free some space and run the same command again.",
            ) from error
        shown = make_url(url).render_as_string(hide_password=True)
        raise EmolabError(f"The catalog {shown} cannot be used: {reason}.", hint="Check with: emolab doctor") from error
    except DatabaseError as error:
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise DataError(
                f"The catalog {make_url(url).render_as_string(hide_password=True)} is damaged: {error.orig}.",
                hint="Restore it from a backup; media and models are not affected.",
            ) from error
        raise
