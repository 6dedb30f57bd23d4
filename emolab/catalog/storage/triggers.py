"""The database's own triggers keep the counts: whoever writes the rows, and however, changes them in the same step.

SQLite runs its triggers for each row and adds to one row of counts. PostgreSQL runs them once for each statement, and
each adds rows of differences: writers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from emolab.catalog.storage.counted import ACTIVE, EVERY, VOTES, Counted, fate, select


class _Change(NamedTuple):
    """What one row adds to the counts: keys and sums as SQL, and the clauses that give the row, where it needs some."""

    adds: Mapping[str, str]
    source: str


class _Trigger(NamedTuple):
    """The ``changes`` of what is ``counted`` that ``event`` on a row of ``table`` brings; ``when`` it matters."""

    table: str
    event: str
    counted: Counted
    changes: Sequence[_Change]
    when: str = ""

    @property
    def name(self) -> str:
        return f"emolab_count_{self.table}_{self.event.lower()}"


def install(tx: Connection) -> None:
    """Let the database keep the counts from now on; triggers of an earlier emolab are replaced."""
    statements = _postgresql() if tx.dialect.name == "postgresql" else _sqlite()
    for statement in statements:
        tx.exec_driver_sql(statement)


def _sqlite() -> Iterator[str]:
    for trigger in _triggers(new="NEW", old="OLD", new_rows="", old_rows=""):
        steps = " ".join(_upsert(trigger.counted, change) for change in trigger.changes)
        when = f"WHEN {trigger.when}" if trigger.when else ""
        yield f"DROP TRIGGER IF EXISTS {trigger.name}"
        yield f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} ON {trigger.table} {when} BEGIN {steps} END"


def _upsert(counted: Counted, change: _Change) -> str:
    """SQLite's statement that adds ``change`` to its row of counts; plain values are the quicker of the two forms."""
    adds = {"part": "0", **change.adds}
    given = select(adds, change.source) if change.source else f"VALUES ({', '.join(adds.values())})"
    return f"INSERT INTO {counted.counts} ({', '.join(adds)}) {given} {counted.or_add};"


def _postgresql() -> Iterator[str]:
    tables = {"INSERT": "NEW TABLE AS fresh", "DELETE": "OLD TABLE AS gone"}
    tables["UPDATE"] = f"{tables['DELETE']} {tables['INSERT']}"
    for trigger in _triggers(new="fresh", old="gone", new_rows="FROM fresh", old_rows="FROM gone"):
        counted = trigger.counted
        rows = " UNION ALL ".join(select(change.adds, change.source) for change in trigger.changes)
        yield (
            f"CREATE OR REPLACE FUNCTION {trigger.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO "
            f"{counted.counts} ({counted.columns}) {counted.summed(rows, having=True)}; RETURN NULL; END $$"
        )
        yield f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}"
        yield (
            f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} ON {trigger.table} "
            f"REFERENCING {tables[trigger.event]} FOR EACH STATEMENT EXECUTE FUNCTION {trigger.name}()"
        )


def _triggers(*, new: str, old: str, new_rows: str, old_rows: str) -> Iterator[_Trigger]:
    """Every trigger; ``new`` and ``old`` name the changed row, which the clauses ``new_rows`` and ``old_rows`` give."""
    for counted in EVERY:
        # a vote is new before anybody can bury it
        known = {"fate": f"'{ACTIVE}'"} if counted is VOTES else {}
        came, went = _Change(counted.of(new), new_rows), _Change(counted.of(old, sign="-"), old_rows)
        added = _Change(counted.of(new, **known), new_rows)
        yield _Trigger(counted.table, "INSERT", counted, [added])
        yield _Trigger(counted.table, "UPDATE", counted, [went, came], _differs(counted, old, new))
        yield _Trigger(counted.table, "DELETE", counted, [went])
    buried = _moved(new, new_rows, to=fate(new), of=f"'{ACTIVE}'")
    dug_up = _moved(old, old_rows, to=f"'{ACTIVE}'", of=fate(old))
    yield _Trigger("tombstones", "INSERT", VOTES, buried)
    yield _Trigger("tombstones", "UPDATE", VOTES, [*dug_up, *buried])
    yield _Trigger("tombstones", "DELETE", VOTES, dug_up)


def _moved(tombstone: str, rows: str, *, to: str, of: str) -> list[_Change]:
    """The vote under ``tombstone`` counts with one fate more, and with another one less."""
    there = f"{rows}, votes AS v" if rows else "FROM votes AS v"
    source = f"{there} WHERE v.pk = {tombstone}.vote"
    return [_Change(VOTES.of("v", fate=to), source), _Change(VOTES.of("v", sign="-", fate=of), source)]


def _differs(counted: Counted, old: str, new: str) -> str:
    """Whether an update changes anything that is counted (SQLite; PostgreSQL adds nothing where the sum is zero)."""
    expressions = [*counted.keys.values(), *counted.sums.values()]
    return " OR ".join(f"({sql.format(r=old)}) IS NOT ({sql.format(r=new)})" for sql in expressions if "{r}" in sql)
