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
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from emolab.catalog.storage import sqlite_file
from emolab.errors import ConfigError, DataError, EmolabError

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from alembic.config import Config as AlembicConfig

#: The newest migration; a test keeps it in step with ``migrations/versions``.
HEAD = "0004"

#: How long a writer waits for another one, in seconds.
BUSY_SECONDS = 60

_MIGRATION_LOCK = 0x656D6F6C6162  # "emolab"

#: The way out of a catalog that is lost or damaged.
RESTORE = "Bring it back from a backup with: emolab restore FILE"


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

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine; opened and brought to the newest schema on first use."""
        address = _address(self.url)
        file = sqlite_file.file_of(address)
        if file is not None:
            self._check_there(file)
        with _explained(address):
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
        with _explained(_address(self.url)), _writer(self.engine).begin() as connection:
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, never a lock on writers."""
        with _explained(_address(self.url)), self.engine.connect() as connection:
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
            raise DataError(f"The catalog {_shown(where)} {what}, although the workspace has {remains}.", hint=RESTORE)

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
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise _unusable(error) from error
        return engine

    def _upgrade(self, engine: Engine, url: URL, version: str | None) -> None:
        from alembic import command
        from alembic.util import CommandError

        try:
            with _explained(url), _writer(engine).begin() as connection:
                if connection.dialect.name == "postgresql":  # one migration at a time, as SQLite's BEGIN IMMEDIATE does
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise DataError(
                f'The catalog {_shown(url)} says that its schema is "{version}", which no emolab has written.',
                hint=RESTORE,
            ) from error


def _address(url: str | URL) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise _unusable(error) from error


def _unusable(error: Exception) -> ConfigError:
    return ConfigError(
        f"catalog.url is not a usable database address: {error}.",
        hint="Example: postgresql+psycopg://user@host/emolab",
    )


def _shown(where: URL | Path) -> str:
    """An address without its password; a file by its path."""
    if isinstance(where, Path):
        return str(where)
    return str(sqlite_file.file_of(where) or where.render_as_string(hide_password=True))


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
def _explained(url: URL) -> Iterator[None]:
    """Turn what the database says inside the block into words."""
    try:
        yield
    except sqlite3.Error as error:  # before SQLAlchemy has a connection
        raise DataError(f"The catalog {_shown(url)} cannot be read: {error}.", hint=RESTORE) from error
    except OperationalError as error:
        raise _in_words(url, str(error.orig)) from error
    except DatabaseError as error:
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise DataError(
                f"The catalog {_shown(url)} is damaged: {error.orig}.",
                hint=f"{RESTORE}; media and models are not affected.",
            ) from error
        raise


def _in_words(url: URL, reason: str) -> EmolabError:
    """What an operational error of the database means for a person."""
    if "locked" in reason:
        return EmolabError(
            f"The catalog stayed locked by another process for {BUSY_SECONDS} s.",
            hint="Wait for the other emolab command to end and run this again.",
        )
    if "disk" in reason and "full" in reason:
        return EmolabError(
            "The disk is full: the catalog could not be written; nothing of this step was kept.",
            hint="Free some space and run the same command again.",
        )
    if "readonly" in reason or "read-only" in reason:
        return EmolabError(
            f"The catalog {_shown(url)} cannot be written: it is read-only here.",
            hint="Run the command as its owner, or in a copy of the workspace that you own.",
        )
    file = sqlite_file.file_of(url)
    if "unable to open" in reason and file is not None:
        why = (
            "it is a folder" if file.is_dir() else "no permission" if file.parent.is_dir() else "its folder is missing"
        )
        reason = f"{reason} ({why})"
    return EmolabError(f"The catalog {_shown(url)} cannot be used: {reason}.", hint="Check with: emolab doctor")
