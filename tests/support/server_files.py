"""What lies in the files of a PostgreSQL server, read as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from tests.support.held_people import Needle, kinds_in

#: Where the write-ahead log is, below the server's folder.
LOG = "pg_wal"


@contextmanager
def asked(url: str) -> Iterator[Connection]:
    """A connection outside of transactions to the database at ``url``."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def run(url: str, *statements: str) -> None:
    """Run ``statements`` in the database at ``url``."""
    with asked(url) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def pages_left(url: str, wanted: list[Needle]) -> dict[str, set[str]]:
    """Where in the server's folder there is which kind of trace, by the name of the table or index, else of the file.

    What the server has in memory is written down first. Files of other databases are left out; files of the
    write-ahead log count as one.
    """
    with asked(url) as connection:
        connection.exec_driver_sql("CHECKPOINT")
        folder = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar_one()))
        own = connection.execute(text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar_one()
        files = connection.exec_driver_sql("SELECT pg_relation_filenode(oid), relname FROM pg_class").all()
    return kinds_in(_contents(folder, str(own), {str(number): str(name) for number, name in files}), wanted)


def _contents(folder: Path, own: str, names: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if not file.is_file() or (parts[0] == "base" and parts[1] != own):
            continue
        number = file.name.partition(".")[0].partition("_")[0]
        name = LOG if parts[0] == LOG else names.get(number, "/".join(parts)) if parts[0] == "base" else "/".join(parts)
        yield name, file.read_bytes()
