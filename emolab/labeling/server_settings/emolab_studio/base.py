"""Django's SQLite backend, with the few changes that make "database is locked" disappear instead of being retried."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.sqlite3 import base, features

#: What a statement says that waited for its whole timeout. Label Studio looks for the words "database is locked" to
#: run an import again minutes later; with other words it answers with an error, and the sender decides.
BUSY = "the database stayed busy: other requests kept writing for {seconds:.0f} s"

#: ``reading`` is true in a thread whose request only reads in its transactions.
current = threading.local()

_keeper: sqlite3.Connection | None = None
_keeping = threading.Lock()


class DatabaseFeatures(features.DatabaseFeatures):  # type: ignore[misc]  # Django has no types
    """Reads every query to its end at once.

    An iteration that stays open holds an old view of the database, and a write of the same connection, for which the
    view would have to be the newest, fails at once whatever the timeout. Label Studio deletes tasks in such a way.
    """

    can_use_chunked_reads = False


class Cursor(base.SQLiteCursorWrapper):  # type: ignore[misc]
    """A cursor that calls a lock it waited for in vain by other words (see ``BUSY``)."""

    def execute(self, query: str, params: Any = None) -> Any:
        """Run one statement."""
        try:
            return super().execute(query, params)
        except sqlite3.OperationalError as error:
            raise _in_other_words(self, error) from error

    def executemany(self, query: str, param_list: Any) -> Any:
        """Run one statement several times."""
        try:
            return super().executemany(query, param_list)
        except sqlite3.OperationalError as error:
            raise _in_other_words(self, error) from error


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """One thread's connection."""

    features_class = DatabaseFeatures

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Open a connection; the first one also sees to the write-ahead log."""
        _keep_open(str(conn_params["database"]))
        made: sqlite3.Connection = super().get_new_connection(conn_params)
        return made

    def create_cursor(self, name: str | None = None) -> Cursor:  # noqa: ARG002 (Django's signature)
        """Return a cursor of the kind above."""
        made: Cursor = self.connection.cursor(factory=Cursor)
        return made

    def _start_transaction_under_autocommit(self) -> None:
        """Take the write lock, unless the request only reads: then nobody has to wait for it."""
        if getattr(current, "reading", False):
            self.cursor().execute("BEGIN DEFERRED")
        else:
            super()._start_transaction_under_autocommit()


def _keep_open(database: str) -> None:
    """Hold one idle connection for as long as the process lives.

    Label Studio opens a connection for each request. When the last one closes, SQLite empties the write-ahead log,
    deletes it and shuts everybody out meanwhile, after nearly every request of a small team.
    """
    global _keeper  # noqa: PLW0603 (one for the process)
    with _keeping:
        if _keeper is not None:
            return
        connection = sqlite3.connect(database, timeout=60, check_same_thread=False)
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise ImproperlyConfigured(
                f"{database} cannot have a write-ahead log (its journal is {mode}): is it on a network drive?"
            )
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _keeper = connection


def _in_other_words(cursor: sqlite3.Cursor, error: sqlite3.OperationalError) -> sqlite3.OperationalError:
    if "database is locked" not in str(error):
        return error
    seconds = cursor.connection.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    return sqlite3.OperationalError(BUSY.format(seconds=seconds))
