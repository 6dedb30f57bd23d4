"""The pages of a catalog on PostgreSQL, written anew: a deleted row stays in them until then, and in its statistics.

1. ``VACUUM (FULL, ANALYZE)`` of each table: another file without the rows that are gone, statistics of those that stay.
   Of an empty table ``ANALYZE`` leaves the old statistics, so its columns are given their own type again, which drops
   them.
2. ``VACUUM (FULL)`` of ``pg_statistic``, whose old rows hold values of the tables.
3. A look whether that was enough. A session with an older view of the data makes the server copy deleted rows as well;
   then the table's ``relfrozenxid`` is not newer than the deletion. A worker of autovacuum is such a session for a
   moment. Statements for somebody else end with the same look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Integer, Table, text
from sqlalchemy.exc import DBAPIError

from emolab.catalog.storage import schema
from emolab.catalog.storage.database_errors import NOT_ALLOWED, code_of, message_of
from emolab.errors import EmolabError

if TYPE_CHECKING:
    from emolab.catalog import Catalog

#: Seconds for which one attempt waits for a table that others read; they wait for it as long.
_TURN = 5
_STATISTICS = "pg_catalog.pg_statistic"
_PAUSE = 0.2
#: PostgreSQL's code for a lock that was not to be had in time.
_LOCKED = "55P03"

_ROLES = """
    SELECT c.oid, age(c.relfrozenxid) >= age(CAST(:mark AS xid)) AS old,
        pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE') AS may
    FROM pg_class AS c, pg_database AS d
    WHERE c.oid = to_regclass(:name) AND d.datname = current_database()
"""
_NOW = "txid_current() % 4294967296"
_WHO = "'process ' || pid || ' (' || concat_ws(', ', usename, nullif(application_name, ''), state) || ')'"
_OLDER = f"""
    SELECT {_WHO} FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker' AND (
        age(backend_xid) >= age(CAST(:mark AS xid)) OR (
            age(backend_xmin) >= age(CAST(:mark AS xid)) AND coalesce(datname, current_database()) = current_database()
        )
    )
    UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
        WHERE age(transaction) >= age(CAST(:mark AS xid))
    UNION ALL SELECT 'replication slot ' || slot_name FROM pg_replication_slots
        WHERE greatest(age(xmin), CASE WHEN :name = '{_STATISTICS}' THEN age(catalog_xmin) END)
            >= age(CAST(:mark AS xid))
"""  # noqa: S608 (made of the names above alone)
_READERS = f"""
    SELECT DISTINCT {_WHO} FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE pid <> pg_backend_pid() AND granted AND relation = to_regclass(:name)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608
_LOOK = (
    "DO $$ DECLARE kept text; BEGIN SELECT string_agg(relname, ', ') INTO kept FROM pg_class, (VALUES {}) "
    "AS least (id, mark) WHERE oid = id AND age(relfrozenxid) >= age(mark::xid); IF kept IS NOT NULL THEN "
    "RAISE EXCEPTION 'What was deleted still lies in the files of %', kept USING HINT = 'Another session saw the data "
    "as they were. Let it end (pg_stat_activity), and run all of this again.'; END IF; END $$"
)


def rewrite(catalog: Catalog, *, wait: float) -> list[str]:
    """Write the tables of a ``catalog`` on PostgreSQL anew; what the role of this connection may not do, as statements.

    For each table others are waited for at most ``wait`` seconds, then it is an :class:`EmolabError` that names them.
    To be called after the deletion was committed. May be called again at any time.
    """
    options = catalog.engine.execution_options(isolation_level="AUTOCOMMIT")
    with options.connect() as connection:
        try:
            raw: Any = connection.connection.driver_connection
            raw.rollback()  # pg8000 begins a transaction when the pool asks whether the connection is alive
            connection.exec_driver_sql(f"SET lock_timeout = '{_TURN}s'")
            connection.exec_driver_sql("SET statement_timeout = 0")
            return _all_written(connection, wait)
        finally:
            connection.invalidate()  # its settings go with it


def _all_written(connection: Connection, wait: float) -> list[str]:
    mark = connection.execute(text(f"SELECT {_NOW}")).scalar_one()
    left = dict[str, list[str]]()
    for name, table in sorted(schema.metadata.tables.items()):
        statements = [*_without_statistics(connection, table), f"VACUUM (FULL, ANALYZE) {name}"]
        left[name] = _written(connection, name, statements, wait)
    left[_STATISTICS] = _written(connection, _STATISTICS, [f"VACUUM (FULL) {_STATISTICS}"], wait)
    return _for_the_owner({name: statements for name, statements in left.items() if statements}, mark)


def _for_the_owner(left: dict[str, list[str]], mark: int) -> list[str]:
    """The statements of each table that is ``left``, and last one that fails where a table still holds deleted rows.

    ``mark``: a transaction newer than the deletion. Of the statistics the rows that the earlier statements replace are
    to go as well, so that their mark is taken in between.
    """
    if not left:
        return []
    last = left.pop(_STATISTICS, [])
    old = [f"(to_regclass('{name}'), '{mark}')" for name in left]
    if last:
        last.insert(0, f"SELECT set_config('emolab.mark', ({_NOW})::text, false)")
        old.append(f"(to_regclass('{_STATISTICS}'), current_setting('emolab.mark'))")
    return [*(each for statements in left.values() for each in statements), *last, _LOOK.format(", ".join(old))]


def _written(connection: Connection, name: str, statements: list[str], wait: float) -> list[str]:
    """Let the ``statements`` write the table ``name`` anew; returns them where this role may not do that.

    Raises :class:`EmolabError` where others keep the server from it for ``wait`` seconds.
    """
    mark = connection.execute(text(f"SELECT {_NOW}")).scalar_one()  # newer than every deletion
    about = {"name": name, "mark": str(mark)}
    if not connection.execute(text(_ROLES), about).one().may and not _maintains(connection, name):
        return statements
    deadline = time.monotonic() + wait
    while True:
        in_the_way = list(connection.execute(text(_OLDER), about).scalars())
        if not in_the_way:
            try:
                for statement in statements:
                    connection.exec_driver_sql(statement)
            except DBAPIError as error:
                if code_of(error) == NOT_ALLOWED:
                    return statements
                in_the_way = _readers(connection, error, about)
            else:
                if not connection.execute(text(_ROLES), about).one().old:
                    return []
        if time.monotonic() >= deadline:
            raise EmolabError(
                f"The table {name} of the catalog still holds what was deleted, because PostgreSQL keeps that for "
                f"{', '.join(in_the_way) or 'another session'}.",
                hint='Let it end, or stop it, and run "emolab forget" to go on.',
            )
        time.sleep(_PAUSE)


def _readers(connection: Connection, error: DBAPIError, about: Mapping[str, str]) -> list[str]:
    """Who held a table for so long that it could not be locked; raises where the ``error`` is another one."""
    if code_of(error) != _LOCKED:
        raise EmolabError(
            f"PostgreSQL could not write the table {about['name']} anew: {message_of(error)}.",
            hint='Put that right, and run "emolab forget" to go on.',
        ) from error
    return list(connection.execute(text(_READERS), about).scalars())


def _without_statistics(connection: Connection, table: Table) -> list[str]:
    """The statement that drops the statistics of an empty ``table``; none for another one, which ANALYZE looks at."""
    if connection.execute(table.select().limit(1)).first() is not None:
        return []
    query = text("SELECT attname FROM pg_stats WHERE tablename = :name AND schemaname = ANY(current_schemas(false))")
    kept = set(connection.execute(query, {"name": table.name}).scalars())
    columns = [column for column in table.c if column.name in kept and _says_something(column)]
    dialect, quoted = connection.dialect, connection.dialect.identifier_preparer.quote
    changed = [f"ALTER {quoted(each.name)} TYPE {each.type.compile(dialect=dialect)}" for each in columns]
    return [f"ALTER TABLE {quoted(table.name)} {', '.join(changed)}"] if changed else []


def _says_something(column: Column[object]) -> bool:
    """Whether a value of ``column`` is more than a key inside the catalog."""
    return not column.foreign_keys and not (column.primary_key and isinstance(column.type, Integer))


def _maintains(connection: Connection, name: str) -> bool:
    """Whether this role was given the right to maintain the table, which PostgreSQL has since 17."""
    if (connection.dialect.server_version_info or (0,)) < (17,):
        return False
    return bool(connection.execute(text("SELECT has_table_privilege(:name, 'MAINTAIN')"), {"name": name}).scalar_one())
