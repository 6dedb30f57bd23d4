"""Opening the catalog: SQLite in WAL mode by default, any SQLAlchemy URL otherwise; migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from emolab.catalog.storage import actions, counters, sqlite_file
from emolab.catalog.storage.database_errors import BUSY_SECONDS, RESTORE, address_of, explained, shown, unusable
from emolab.errors import DataError, EmolabError

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from alembic.config import Config as AlembicConfig

#: The newest migration; a test keeps it in step with ``migrations/versions``.
HEAD = "0013"

_MIGRATION_LOCK = 0x656D6F6C6162  # "emolab"


class Catalog:
    """A connection pool to the catalog; a context manager that closes it.

    >>> with Catalog("sqlite:///catalog.db") as catalog:  # doctest: +SKIP
    ...     with catalog.begin() as tx:
    ...         samples.add(tx, batch)
    """

    def __init__(self, url: str | URL, *, remains: Callable[[], str] | None = None) -> None:
        """``remains`` names what lies here that only a catalog explains, such as "media"; empty: nothing.

        Where something remains, a catalog that is missing or has no tables was lost: an error, and no new one is made.
        """
        self.url = url
        self._remains = remains
        self._copy: TemporaryDirectory[str] | None = None
        self._recorder: actions.Recorder | None = None

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine; opened and brought to the newest schema on first use."""
        address = address_of(self.url)
        file = sqlite_file.file_of(address)
        if file is not None:
            self._check_there(file)
        with explained(address):
            engine = self._open(address, file)
            version = _version(engine)
        if version is None:
            self._check_lost("has no tables", address)
        if version != HEAD:
            if version is not None and version.isdecimal() and version > HEAD:
                raise EmolabError(
                    f"The catalog was written by a newer emolab (schema {version}, this one knows {HEAD}).",
                    hint="Upgrade with: pip install --upgrade emolab",
                )
            self._upgrade(engine, address, version)
        return engine

    def migrate(self) -> None:
        """Create or upgrade the schema. Safe to call at any time, by several processes at once."""
        _ = self.engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back on any exception."""
        with (
            explained(address_of(self.url)),
            _writer(self.engine).connect() as connection,
            actions.attached(connection, self._recorder),
            connection.begin(),
        ):
            yield connection
            counters.fold(connection)

    @contextmanager
    def recording(self, kind: str, about: str) -> Iterator[None]:
        """Note what this catalog's transactions change, as an action that :mod:`emolab.loop.data.undo` takes back."""
        self._recorder = actions.Recorder(kind, about)
        try:
            yield
        finally:
            self._recorder = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, never a lock on writers."""
        with explained(address_of(self.url)), self.engine.connect() as connection:
            yield connection

    def problems(self) -> list[str]:
        """What is wrong with the catalog file, in words; empty when it is healthy."""
        with self.connect() as connection:
            if connection.dialect.name != "sqlite":
                return []
            rows = connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all()
            lines = [line for row in rows for line in str(row).splitlines() if not line.startswith("***")]
            found = [line for line in lines if line != "ok"]
            if len(found) > 3:
                found = [*found[:3], f"and {len(found) - 3} more"]
            orphans = len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(11))
        return found + ([f"{orphans} rows point to nothing"] if orphans else [])

    def size(self) -> int:
        """How many bytes the catalog's file has; 0 on a server."""
        file = sqlite_file.file_of(address_of(self.url))
        return file.stat().st_size if file is not None and file.exists() else 0

    def miscounts(self) -> list[str]:
        """Every row counted again: which of the counts it keeps differ, in words; empty when all are right."""
        with self.connect() as connection:
            return counters.differences(connection)

    def recount(self) -> list[str]:
        """Put the counts it keeps right; returns which were wrong, in words."""
        with self.begin() as connection:
            found = counters.differences(connection)
            counters.recount(connection)
        return found

    def close(self) -> None:
        """Give back all connections."""
        if "engine" in self.__dict__:
            self.engine.dispose()
            del self.__dict__["engine"]
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def _check_there(self, file: Path) -> None:
        """Before SQLite makes an empty file where there is none."""
        if not file.exists():
            self._check_lost("is missing", file)
        elif file.is_file() and file.stat().st_size == 0:
            self._check_lost("is empty (0 bytes)", file)

    def _check_lost(self, what: str, where: URL | Path) -> None:
        if self._remains is not None and (remains := self._remains()):
            raise DataError(f"The catalog {shown(where)} {what}, although the workspace has {remains}.", hint=RESTORE)

    def _open(self, url: URL, file: Path | None) -> Engine:
        try:
            if file is not None and sqlite_file.read_only(file):
                connect, self._copy = sqlite_file.reader(file)
                engine = create_engine(url, creator=connect, poolclass=QueuePool)
                event.listen(engine, "begin", _begin_sqlite)
            elif url.drivername.startswith("sqlite"):
                engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
                event.listen(engine, "connect", _prepare_sqlite)
                event.listen(engine, "begin", _begin_sqlite)
            else:
                engine = create_engine(url, pool_pre_ping=True)
                # many rows in one statement: one way to the server and back, and its triggers run once for all of them
                engine.dialect.use_insertmanyvalues_wo_returning = True
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise unusable(error) from error
        return engine

    def _upgrade(self, engine: Engine, url: URL, version: str | None) -> None:
        from alembic import command
        from alembic.util import CommandError

        try:
            with explained(url), _writer(engine).begin() as connection:
                if connection.dialect.name == "postgresql":  # one migration at a time, as SQLite's BEGIN IMMEDIATE does
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                counters.install(connection)
        except CommandError as error:
            raise DataError(
                f'The catalog {shown(url)} says that its schema is "{version}", which no emolab has written.',
                hint=RESTORE,
            ) from error


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
