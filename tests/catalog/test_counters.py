"""The counts that the database keeps are those of the rows, whatever is written, by whom, and whether it is kept."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from sqlalchemy import Connection, func, select

from emolab.catalog import Catalog, labels, ledger_mark, removal, samples, tallies, votes
from emolab.catalog.storage import counters, schema
from emolab.catalog.storage.counted import EVERY
from emolab.records import SKIPPED, LabelSet, Sample, Vote
from tests.support.old_catalogs import rewind

CLASSES = ("happiness", "sadness", "neutral")
SAID = (*CLASSES, "no_face", "unknown", None)
SOURCES = ("collected", "ferplus", "rafdb")


class Stop(Exception):
    """Ends a transaction that is not to be kept."""


def sample(number: int, source: str = "collected", split: str | None = None) -> Sample:
    return Sample(id=f"{number:064d}", media="m", source=source, split=split)


def recounted(conn: Connection) -> dict[str, object]:
    """What status says, counted from the rows in the plainest way."""
    alive = {
        row.pk: row
        for row in conn.execute(select(schema.votes))
        if row.pk not in set(conn.execute(select(schema.tombstones.c.vote)).scalars())
    }
    refused = [row for row in alive.values() if row.rejected is not None]
    said = [row for row in alive.values() if row.rejected is None and row.label is not None]
    faces = [row for row in said if row.label in CLASSES]
    skips = sum(row.rejected == SKIPPED for row in refused)
    present = [row for row in conn.execute(select(schema.samples)) if row.removed_at is None]
    buried = Counter(conn.execute(select(schema.tombstones.c.reason)).scalars())
    total, newest = conn.execute(select(func.count(), func.max(schema.votes.c.pk)).select_from(schema.votes)).one()
    current = conn.execute(select(schema.label_sets.c.pk).where(schema.label_sets.c.current)).scalar()
    hard = select(schema.labels.c.hard).where(schema.labels.c.label_set == current)
    per_class = Counter(conn.execute(hard).scalars())
    return {
        "samples": len(present),
        "source": dict(Counter(row.source for row in present)),
        "split": dict(Counter(row.split for row in present)),
        "answered": sum(row.n_votes > 0 for row in conn.execute(select(schema.samples))),
        "votes": {
            "active": len(faces),
            "people": sum(row.count for row in faces),
            "meta": len(said) - len(faces),
            "skipped": skips + len(alive) - len(refused) - len(said),
            "rejected": len(refused) - skips,
            "withdrawn": sum(buried.values()),
        },
        "mark": (total, newest or 0, buried["edited"], sum(buried.values()) - buried["edited"]),
        "labels": None if current is None else {name: per_class[i] for i, name in enumerate(CLASSES)},
    }


def kept(conn: Connection) -> dict[str, object]:
    """The same, as the catalog answers it."""
    summary = labels.summary(conn)
    return {
        "samples": samples.count(conn),
        "source": samples.count_by(conn, "source"),
        "split": samples.count_by(conn, "split"),
        "answered": samples.count_answered(conn),
        "votes": tallies.count(conn),
        "mark": tuple(ledger_mark.mark(conn)),
        "labels": None if summary is None else summary["per_class"],
    }


def said(rng: np.random.Generator, number: int, origin: int) -> Vote:
    source = SOURCES[rng.integers(len(SOURCES))]
    return Vote(
        sample_id=f"{number:064d}",
        annotator=f"ann{rng.integers(3)}",
        label=SAID[rng.integers(len(SAID))],
        origin=f"reader:{source}:{origin}" if rng.random() < 0.5 else f"studio:s:1:{origin}",
        count=int(rng.integers(1, 4)),
        rejected=(None, None, None, SKIPPED, "not shown to the end")[rng.integers(5)],
    )


def write(tx: Connection, rng: np.random.Generator) -> None:
    """One of the catalog's writes, drawn by chance."""
    there = sorted(int(name) for name in tx.execute(select(schema.samples.c.id).where(schema.present)).scalars())
    some = [number for number in there if rng.random() < 0.4]
    kind = rng.integers(8)
    if kind == 0 or not some:
        drawn = sorted(set(rng.integers(25, size=6).tolist()))
        split = (None, "train", "valid")[rng.integers(3)]
        samples.add(tx, [sample(number, SOURCES[rng.integers(3)], split) for number in drawn])
    elif kind in (1, 2):
        origins = rng.permutation(60)[: len(some)].tolist()
        votes.append(tx, [said(rng, *pair) for pair in zip(some, origins, strict=True)])
    elif kind == 3:
        known = sorted(votes.origins(tx, "studio:") | votes.origins(tx, "reader:"))
        votes.withdraw(tx, [name for name in known if rng.random() < 0.3], "deleted")
    elif kind == 4:
        samples.set_splits(tx, {f"{n:064d}": ("train", "valid", "test", None)[rng.integers(4)] for n in some})
        samples.set_representatives(tx, {f"{n:064d}": f"{some[0]:064d}" for n in some})
    elif kind == 5:
        ids = [f"{number:064d}" for number in some[:2]]
        sources = ["rafdb"] if rng.random() < 0.3 else []
        removal.carry_out(tx, removal.plan(tx, ids=ids, sources=sources))
    elif kind == 6:
        labels.write(tx, label_set(rng, some))
    else:
        by_hand(tx, rng)


def label_set(rng: np.random.Generator, numbers: list[int]) -> LabelSet:
    hard = rng.integers(3, size=len(numbers)).astype(np.int16)
    return LabelSet(
        version=f"v{rng.integers(4)}",
        classes=CLASSES,
        samples=[f"{number:064d}" for number in numbers],
        probs=np.eye(3, dtype=np.float32)[hard],
        hard=hard,
        votes=np.ones(len(numbers), dtype=np.int32),
        agreement=np.ones(len(numbers), dtype=np.float32),
        method="soft",
        created_at="2026-01-01T00:00:00Z",
    )


def by_hand(tx: Connection, rng: np.random.Generator) -> None:
    """What no function of the catalog does, but a later one or a person with a database client may."""
    statement = (
        "UPDATE samples SET source = 'elsewhere' WHERE pk - pk / 3 * 3 = 0",
        "UPDATE labels SET hard = 0 WHERE hard = 1",
        "DELETE FROM labels WHERE hard = 2",
        "UPDATE tombstones SET reason = 'edited' WHERE vote - vote / 2 * 2 = 0",
    )[rng.integers(4)]
    tx.exec_driver_sql(statement)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_writes_leaves_the_counts_of_the_rows(
    catalog: Catalog, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "_MANY", 20)
    rng = np.random.default_rng(seed)
    for _ in range(60):
        try:
            with catalog.begin() as tx:
                for _ in range(rng.integers(1, 4)):
                    write(tx, rng)
                if rng.random() < 0.15:
                    raise Stop
        except Stop:
            pass
        with catalog.connect() as conn:
            assert kept(conn) == recounted(conn)
            assert counters.differences(conn) == []


def test_a_vote_that_is_changed_or_deleted_in_place_is_counted_as_it_is_then(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [sample(1)])
        said_by = [Vote(sample_id=sample(1).id, annotator="ann", label="happiness", origin=f"o{i}") for i in range(4)]
        votes.append(tx, said_by)
        votes.withdraw(tx, ["o0", "o1"], "deleted")
    for statement in (
        "UPDATE votes SET label = 'no_face', \"count\" = 3",
        "DELETE FROM tombstones WHERE vote = (SELECT min(vote) FROM tombstones)",
        "UPDATE votes SET rejected = 'skipped' WHERE label = 'no_face'",
        "DELETE FROM votes WHERE pk NOT IN (SELECT vote FROM tombstones)",
    ):
        with catalog.begin() as tx:
            tx.exec_driver_sql(statement)
        with catalog.connect() as conn:
            assert kept(conn)["votes"] == recounted(conn)["votes"]
            assert [line for line in counters.differences(conn) if "the count" in line] == []


def test_wrong_counts_are_found_and_put_right(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [sample(1), sample(2)])
        votes.append(tx, [Vote(sample_id=sample(1).id, annotator="ann", label="happiness", origin="o1", count=2)])
        made = label_set(np.random.default_rng(0), [1])
        labels.write(tx, made)
        hard = int(made.hard[0])
        right = kept(tx)
    with catalog.begin() as tx:
        tx.exec_driver_sql("UPDATE vote_counts SET n = 7, people = 9")
        tx.exec_driver_sql("DELETE FROM label_counts")
        tx.exec_driver_sql("UPDATE samples SET n_votes = 5 WHERE n_votes = 0")
    with catalog.connect() as conn:
        found = counters.differences(conn)
    assert found[:2] == [
        "the count of votes (fate active, refused none, label happiness) is 7, and there are 1",
        "the count of people behind votes (fate active, refused none, label happiness) is 9, and there are 2",
    ]
    assert found[2:] == [
        f"the count of labels (label_set 1, hard {hard}) is 0, and there are 1",
        f"sample {sample(2).id} carries 5 votes, and has 0",
    ]
    with catalog.begin() as tx:
        counters.recount(tx)
    with catalog.connect() as conn:
        assert counters.differences(conn) == []
        assert kept(conn) == right


def test_a_catalog_from_before_there_were_counts_gets_them_of_its_rows(catalog: Catalog) -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        with catalog.begin() as tx:
            write(tx, rng)
    with catalog.engine.begin() as tx:
        rewind(tx, "0009")
        for column in ("guess", "shown", "share"):  # which came later still
            tx.exec_driver_sql(f"ALTER TABLE remote_answers DROP COLUMN {column}")
        for counted in EVERY:
            tx.exec_driver_sql(f"DROP TABLE {counted.counts}")
        tx.exec_driver_sql("DROP TABLE remote_guesses")  # which came later still
        tx.exec_driver_sql("DROP TABLE app_answers")
        tx.exec_driver_sql("DROP INDEX ix_labels_label_set_agreement_sample")
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
        for name, table in triggers_of(tx):
            tx.exec_driver_sql(f"DROP TRIGGER {name}{'' if table is None else f' ON {table}'}")
        samples.add(tx, [sample(99)])
    with Catalog(catalog.url) as again:
        with again.begin() as tx:
            assert kept(tx) == recounted(tx)
            samples.add(tx, [sample(100)])
        with again.connect() as conn:
            assert kept(conn) == recounted(conn)
            assert counters.differences(conn) == []


def triggers_of(tx: Connection) -> list[tuple[str, str | None]]:
    """The triggers there are, on PostgreSQL with their table."""
    query = "SELECT name, NULL FROM sqlite_master WHERE type = 'trigger'"
    if tx.dialect.name == "postgresql":
        query = "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
    return [(name, table) for name, table in tx.exec_driver_sql(query)]


def test_writers_do_not_wait_for_the_counts_of_each_other(postgresql_catalog: Catalog) -> None:
    with postgresql_catalog.begin() as tx:
        samples.add(tx, [sample(1), sample(2)])
    with postgresql_catalog.begin() as first, postgresql_catalog.begin() as second:
        votes.append(first, [Vote(sample_id=sample(1).id, annotator="ann", label="happiness", origin="o1")])
        second.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        samples.add(second, [sample(3)])
        samples.set_splits(second, {sample(2).id: "train"})
        counters.fold(second)
    with postgresql_catalog.connect() as conn:
        assert counters.differences(conn) == []
        assert kept(conn) == recounted(conn)


@pytest.mark.slow
def test_many_writers_and_sums_at_once_lose_and_double_nothing(
    postgresql_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "_MANY", 3)
    wrong: list[str] = []

    def add(writer: int) -> None:
        for i in range(30):
            with postgresql_catalog.begin() as tx:
                number = writer * 100 + i
                samples.add(tx, [sample(number, SOURCES[writer % 3])])
                one = sample(number).id
                votes.append(tx, [Vote(sample_id=one, annotator=f"ann{writer}", label="neutral", origin=f"o{number}")])
            with postgresql_catalog.connect() as conn:
                wrong.extend(counters.differences(conn))
            if i == 15:
                with postgresql_catalog.begin() as tx:
                    counters.recount(tx)

    threads = [threading.Thread(target=add, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []
    with postgresql_catalog.connect() as conn:
        assert (samples.count(conn), tallies.count(conn)["active"]) == (120, 120)
        for counted in EVERY:
            assert conn.exec_driver_sql(f"SELECT count(*) FROM {counted.counts}").scalar_one() < 60
