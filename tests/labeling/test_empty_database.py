"""Label Studio's empty database in the user's cache: quick where it fits, no trouble where it does not."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from emolab.errors import MissingExtra
from emolab.labeling.server import empty_database, installation


def database(path: Path, *, users: int = 0, migrations: int = 3) -> Path:
    """A file with those tables of Label Studio that are looked at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table, rows in (
            ("htx_user", users), ("authtoken_token", 0), ("organization", 0), ("django_migrations", migrations),
        ):  # fmt: skip
            connection.execute(f"CREATE TABLE {table} (id INTEGER)")
            connection.executemany(f"INSERT INTO {table} VALUES (?)", [(i,) for i in range(rows)])
        connection.commit()
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own."""
    monkeypatch.setattr(empty_database, "user_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_a_whole_database_without_users_is_copied(tmp_path: Path) -> None:
    kept = database(tmp_path / "kept.sqlite3")
    assert empty_database.copy(kept, tmp_path / "new.sqlite3")
    assert (tmp_path / "new.sqlite3").read_bytes() == kept.read_bytes()


@pytest.mark.parametrize("users", [0, 1])
@pytest.mark.parametrize("harm", ["cut", "text", "empty", "nothing"])
def test_a_damaged_one_or_one_with_users_is_removed_and_not_copied(tmp_path: Path, harm: str, users: int) -> None:
    kept = database(tmp_path / "kept.sqlite3", users=users)
    if harm == "cut":
        kept.write_bytes(kept.read_bytes()[:9000])
    elif harm != "nothing":
        kept.write_bytes(b"no database" if harm == "text" else b"")
    fine = harm == "nothing" and not users
    assert empty_database.copy(kept, tmp_path / "new.sqlite3") == fine
    assert kept.exists() == (tmp_path / "new.sqlite3").exists() == fine


def test_only_a_whole_one_is_kept_and_for_this_user_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.sqlite3"
    for part in (tmp_path / "none.part", database(tmp_path / "used.part", users=1)):
        empty_database.keep(part, kept)
        assert not kept.exists()
        assert not part.exists()
    empty_database.keep(database(tmp_path / "one.part"), kept)
    assert kept.stat().st_mode & 0o077 == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kept.sqlite3"]


def test_a_cache_that_cannot_be_written_is_no_trouble(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    program = str(Path(sys.executable).with_name("label-studio"))
    place = empty_database.place(program)
    assert place is None or empty_database.part_of(place) is None


def test_a_program_that_lies_elsewhere_has_no_release_that_is_known(cache: Path, tmp_path: Path) -> None:
    assert empty_database.place(str(tmp_path / "label-studio")) is None


@pytest.mark.slow
@pytest.mark.labelstudio
def test_the_second_workspace_begins_with_what_the_first_made_and_shares_no_secret(cache: Path, tmp_path: Path) -> None:
    try:
        program = installation.find_program()
    except MissingExtra as missing:
        pytest.skip(str(missing))
    took, secrets, users = [], [], []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        before = _children()
        installation.create_database(program, folder, f"pw-{name}", log=folder / "log", end=time.monotonic() + 400)
        took.append(_children() - before)
        data = installation.data_folder(folder)
        secrets.append((data / ".env").read_text())
        with contextlib.closing(sqlite3.connect(data / installation.DATABASE)) as connection:
            users.append(connection.execute("SELECT email, password FROM htx_user").fetchall())
            schema = connection.execute("SELECT count(*) FROM django_migrations").fetchone()
            assert schema[0] > 300
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    (kept,) = (cache / "label-studio").iterdir()
    assert took[1] < took[0] / 2
    assert secrets[0] != secrets[1]
    assert [[email for email, _ in found] for found in users] == [[installation.ADMIN]] * 2
    assert users[0][0][1] != users[1][0][1]
    with contextlib.closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM htx_user").fetchone() == (0,)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
