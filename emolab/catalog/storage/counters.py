"""Counting from the rows what the triggers keep: to fill it the first time, to check it, and to put it right."""

# ruff: noqa: S608 (statements are made of the names in this package alone)

from __future__ import annotations

from sqlalchemy import Connection

from emolab.catalog.storage import triggers
from emolab.catalog.storage.counted import EVERY, Counted

#: Rows of differences on PostgreSQL from which on they are summed up.
_MANY = 2000
_ANSWERS = """
    SELECT s.pk, s.id, s.n_votes, coalesce(given.people, 0) AS people FROM samples AS s LEFT JOIN (
        SELECT v.sample, sum(v."count") AS people FROM votes AS v
        WHERE v.label IS NOT NULL AND v.rejected IS NULL
        AND NOT EXISTS (SELECT 1 FROM tombstones AS t WHERE t.vote = v.pk) GROUP BY v.sample
    ) AS given ON given.sample = s.pk WHERE s.n_votes <> coalesce(given.people, 0) ORDER BY s.pk
"""
#: How many samples with a wrong number of votes are named.
_NAMED = 3


def install(tx: Connection) -> None:
    """Let the database keep the counts from now on, beginning with those of the rows that are there."""
    triggers.install(tx)
    recount(tx)


def recount(tx: Connection) -> None:
    """Put the counts right, and the number of votes each sample carries, whatever they were.

    The difference is added in one statement, so that writers may go on: what they add meanwhile is in neither side.
    """
    for pk, _, kept, people in tx.exec_driver_sql(_ANSWERS).all():
        tx.exec_driver_sql(f"UPDATE samples SET n_votes = n_votes + ({int(people - kept)}) WHERE pk = {int(pk)}")
    for counted in EVERY:
        missing = ", ".join(f"sum(there_{name}) - sum(kept_{name})" for name in counted.sums)
        rows = f"SELECT {', '.join(counted.keys)}, {missing} {_compared(counted)}"
        if tx.dialect.name == "sqlite":
            rows = f"SELECT 0, missing.* FROM ({rows}) AS missing WHERE true {counted.or_add}"
        part = "part, " if tx.dialect.name == "sqlite" else ""
        tx.exec_driver_sql(f"INSERT INTO {counted.counts} ({part}{counted.columns}) {rows}")


def differences(conn: Connection) -> list[str]:
    """Each count that is not what the rows say, in words; empty when all are right."""
    found = [line for counted in EVERY for line in _differences(conn, counted)]
    wrong = conn.exec_driver_sql(_ANSWERS).all()
    found += [
        f"sample {sample} carries {kept:,} votes, and has {people:,}" for _, sample, kept, people in wrong[:_NAMED]
    ]
    if len(wrong) > _NAMED:
        found.append(f"{len(wrong) - _NAMED:,} more samples carry a wrong number of votes")
    return found


def _differences(conn: Connection, counted: Counted) -> list[str]:
    keys = ", ".join(counted.keys)
    sums = [f"sum({side}_{name})" for name in counted.sums for side in ("kept", "there")]
    found = []
    for row in conn.exec_driver_sql(f"SELECT {keys}, {', '.join(sums)} {_compared(counted)} ORDER BY {keys}"):
        of = ", ".join(f"{name} {_word(name, value)}" for name, value in zip(counted.keys, row, strict=False))
        numbers = [int(value) for value in row[len(counted.keys) :]]
        for name, says, really in zip(counted.sums, numbers[::2], numbers[1::2], strict=True):
            if says != really:
                what = counted.table if name == "n" else f"{name} behind {counted.table}"
                found.append(f"the count of {what} ({of}) is {says:,}, and there are {really:,}")
    return found


def _compared(counted: Counted) -> str:
    """The FROM clause of what is ``kept_`` and what is ``there_``, where they differ.

    One statement for both: what others write meanwhile is in both or in neither.
    """
    keys = ", ".join(counted.keys)
    kept = ", ".join(f"{name} AS kept_{name}, 0 AS there_{name}" for name in counted.sums)
    there = ", ".join(f"0, {name}" for name in counted.sums)
    differ = " OR ".join(f"sum(kept_{name}) <> sum(there_{name})" for name in counted.sums)
    return (
        f"FROM (SELECT {keys}, {kept} FROM {counted.counts} UNION ALL SELECT {keys}, {there} FROM ({counted.rows}) "
        f"AS counted) AS both_sides GROUP BY {keys} HAVING {differ}"
    )


def _word(name: str, value: object) -> str:
    if name in ("answered", "removed"):
        return "yes" if value else "no"
    return "none" if value == "" else str(value)


def fold(tx: Connection, *, least: int | None = None) -> None:
    """Sum up the differences on PostgreSQL from ``least`` rows on (by default when many have come together); those that
    another process sums up now are left."""
    if tx.dialect.name != "postgresql":
        return
    least = _MANY if least is None else least
    for counted in EVERY:
        if int(tx.exec_driver_sql(f"SELECT count(*) FROM {counted.counts}").scalar_one()) < least:
            continue
        taken = f"SELECT part FROM {counted.counts} FOR UPDATE SKIP LOCKED"
        tx.exec_driver_sql(
            f"WITH gone AS (DELETE FROM {counted.counts} WHERE part IN ({taken}) RETURNING {counted.columns}) "
            f"INSERT INTO {counted.counts} ({counted.columns}) {counted.summed('SELECT * FROM gone', having=True)}"
        )
