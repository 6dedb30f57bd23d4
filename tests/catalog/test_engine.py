"""Opening the catalog: migrations, transactions, several processes, damage."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from emolab.catalog import Catalog, samples
from emolab.catalog.campaign import rounds
from emolab.catalog.storage.engine import HEAD, alembic_config
from emolab.catalog.storage.schema import metadata
from emolab.errors import ConfigError, DataError, EmolabError
from emolab.records import Sample
from tests.support.new_catalogs import statements_of_a_new_one


def add_many(url: str, letter: str) -> None:
    with Catalog(url) as catalog:
        for i in range(20):
            with catalog.begin() as tx:
                samples.add(tx, [Sample(id=f"{letter}{i:063d}", media="m"), Sample(id=f"{i:064d}", media="m")])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.db'}"


def test_migrations_lead_to_exactly_the_declared_tables(url: str) -> None:
    with Catalog(url) as catalog, catalog.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_a_catalog_copied_for_tests_is_one_made_by_the_migrations(url: str, tmp_path: Path) -> None:
    with Catalog(url) as catalog:
        catalog.migrate()
    made = statements_of_a_new_one(tmp_path / "new.db")

    def lines(statement: str) -> list[str]:  # Alembic writes the constraints of a table in any order
        return sorted(line.strip(" \t,") for line in statement.splitlines())

    with closing(sqlite3.connect(tmp_path / "catalog.db")) as raw:
        copied = [statement for statement in raw.iterdump() if statement not in {"BEGIN TRANSACTION;", "COMMIT;"}]
    assert list(map(lines, copied)) == list(map(lines, made))
    assert sum(line.startswith("CREATE TRIGGER") for line in made) > 5


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_sqlite_runs_in_wal_mode_with_full_sync_and_foreign_keys(url: str) -> None:
    with Catalog(url) as catalog, catalog.connect() as conn:
        found = [
            conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_a_failed_transaction_leaves_nothing(url: str) -> None:
    with Catalog(url) as catalog:
        with pytest.raises(ZeroDivisionError), catalog.begin() as tx:
            samples.add(tx, [Sample(id="a" * 64, media="m")])
            raise ZeroDivisionError
        with catalog.connect() as conn:
            assert samples.count(conn) == 0


@pytest.mark.slow
def test_two_processes_create_and_write_one_catalog_at_once(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=add_many, args=(url, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    with Catalog(url) as catalog, catalog.connect() as conn:
        assert samples.count(conn) == 60
        assert catalog.problems() == []


def test_a_reader_keeps_its_view_while_another_writes(url: str) -> None:
    with Catalog(url) as catalog, catalog.connect() as reader:
        assert samples.count(reader) == 0
        with catalog.begin() as tx:
            samples.add(tx, [Sample(id="a" * 64, media="m")])
        assert samples.count(reader) == 0


def test_a_damaged_catalog_is_explained(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"this is no database" * 500)
    with pytest.raises(DataError, match="is damaged: file is not a database"):
        Catalog(f"sqlite:///{tmp_path / 'catalog.db'}").migrate()


def test_a_catalog_of_a_newer_emolab_is_refused(url: str, tmp_path: Path) -> None:
    Catalog(url).migrate()
    with sqlite3.connect(tmp_path / "catalog.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EmolabError, match=r"newer emolab \(schema 9999"):
        Catalog(url).migrate()


@pytest.mark.parametrize("address", ["nonsense", "mysterydb://host/name"])
def test_an_unusable_address_is_explained(address: str) -> None:
    with pytest.raises(ConfigError, match="not a usable database address"):
        Catalog(address).migrate()


def test_a_missing_folder_is_explained_and_no_password_is_shown(tmp_path: Path) -> None:
    with pytest.raises(EmolabError, match="cannot be used: unable to open database file"):
        Catalog(f"sqlite:///{tmp_path / 'absent' / 'catalog.db'}").migrate()


def test_suggestions_of_an_older_catalog_take_over_the_strategy_of_their_round(url: str) -> None:
    from alembic import command
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            "INSERT INTO samples (pk, id, media, modality, n_votes, added_at, source, quality) "
            "VALUES (1, 'a', 'm', 'image', 0, '2026', 'faces', '{}')",
            "INSERT INTO rounds (number, strategy, n, seed, settings, created_at) "
            "VALUES (1, 'margin', 1, 0, '{}', '2026')",
            "INSERT INTO suggestions (round, sample, rank, score, reason, kind) VALUES (1, 1, 0, 0.5, 'why', 'new')",
        ):
            connection.execute(text(statement))
    engine.dispose()
    with Catalog(url) as catalog, catalog.connect() as conn:
        assert [(s.sample_id, s.strategy) for s in rounds.suggestions(conn)] == [("a", "margin")]
