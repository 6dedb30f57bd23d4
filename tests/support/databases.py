"""Database servers for tests: started once, PostgreSQL on a free loopback port, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from emolab.catalog import Catalog
from emolab.datasets.inspect import mongod
from emolab.errors import EmolabError
from emolab.labeling.server.daemon import free_port
from emolab.workspace import Workspace


def programs() -> Path | None:
    """The folder with PostgreSQL's programs, the newest where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def as_server() -> list[str]:
    """PostgreSQL refuses to run as root; its own user can."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def fiftyone_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of FiftyOne's database, one for all tests of this process, which can have no second one."""
    if find_spec("fiftyone") is None:  # importing it here would connect it to its own database
        pytest.skip("needs emolab[data]")
    try:
        return mongod.database(tmp_path_factory.mktemp("fiftyone"))
    except EmolabError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The SQLAlchemy address of a server, without a database name; its database ``new`` holds an empty catalog."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    home = Path(tempfile.mkdtemp(prefix="emolab-pg-"))
    if os.geteuid() == 0:
        shutil.chown(home, pwd.getpwnam("postgres").pw_uid)
    run = [*as_server(), str(folder / "initdb"), "-D", str(home / "db"), "-A", "trust", "-U", "emolab", "--no-sync"]
    subprocess.run(run, check=True, capture_output=True, timeout=300, cwd="/")
    try:
        server, port = serve(folder, home)
        address = f"postgresql+pg8000://emolab@127.0.0.1:{port}"
        make_database(address, "new")
        with Catalog(f"{address}/new") as catalog:
            catalog.migrate()
        yield address
        stop(home)
        server.wait(60)
    finally:
        stop(home)
        shutil.rmtree(home, ignore_errors=True)


def serve(folder: Path, home: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server that answers, and its port: another one where somebody took the free port in the meantime."""
    for _ in range(5):
        port = free_port()
        server = subprocess.Popen(
            [*as_server(), str(folder / "postgres"), "-D", str(home / "db"), "-p", str(port), "-k", str(home),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while server.poll() is None:
            if answers(port):
                return server, port
            assert time.monotonic() < deadline, "PostgreSQL did not start within 120 s"
    raise AssertionError("PostgreSQL ended at once, five times")


def stop(home: Path) -> None:
    """Let the server in ``home`` end at once, if one runs."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((home / "db" / "postmaster.pid").read_text().split()[0]), signal.SIGINT)


def answers(port: int) -> bool:
    """Whether a connection as the tests make it succeeds."""
    import pg8000.dbapi

    try:
        pg8000.dbapi.connect(user="emolab", host="127.0.0.1", port=port, database="postgres").close()
    except (pg8000.dbapi.InterfaceError, pg8000.dbapi.DatabaseError):
        time.sleep(0.05)
        return False
    return True


@pytest.fixture
def postgresql_catalog(postgresql: str) -> Iterator[Catalog]:
    """An empty catalog in a database of its own on PostgreSQL."""
    name = f"t{time.time_ns()}"
    make_database(postgresql, f"{name} TEMPLATE new")
    with Catalog(f"{postgresql}/{name}") as made:
        yield made


def make_database(server: str, database: str) -> None:
    """Make the ``database`` (its name, and what SQL may say of it) on ``server`` (its address without a database)."""
    import pg8000.dbapi

    port = int(server.rpartition(":")[2])
    with contextlib.closing(
        pg8000.dbapi.connect(user="emolab", host="127.0.0.1", port=port, database="postgres")
    ) as admin:
        admin.autocommit = True
        admin.cursor().execute(f"CREATE DATABASE {database}")


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[Catalog]:
    """An empty catalog, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        with workspace.catalog() as made:
            yield made
    else:
        yield request.getfixturevalue("postgresql_catalog")
