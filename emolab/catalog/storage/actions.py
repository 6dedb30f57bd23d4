"""What commands changed, so that the last one can be taken back: tables, and the recorder that fills them.

While an action is recorded (:meth:`emolab.catalog.Catalog.recording`), whatever changes samples or votes notes what was
there before, in the transaction that changes it. Neighbours with the same value are one row, so a merge of a million
images takes few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, ForeignKey, Index, String, Table, Text, insert, select

from emolab.catalog.storage.metadata import Key, metadata

actions = Table(
    "actions",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("about", String(128), nullable=False),  # the source, or how a split was changed
    Column("undone_at", String(32)),
)

action_changes = Table(
    "action_changes",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("action", Key, ForeignKey("actions.pk"), nullable=False),
    Column("what", String(16), nullable=False),
    Column("first", Key, nullable=False),  # keys of samples or votes, from this one
    Column("last", Key, nullable=False),  # to this one
    Column("before", Text),
    Column("after", Text),
    Index(None, "action"),
)

#: What can change: a sample or a vote is new, a vote no longer counts, or a column of a sample has another value.
ADDED, VOTED, ENDED, SPLIT, GROUP, REPRESENTATIVE = "added", "voted", "ended", "split", "group", "representative"
_KEY = "emolab action"


class Recorder:
    """One action of ``kind`` ``about`` something. Its row is made by its first change, so an idle command has none."""

    def __init__(self, kind: str, about: str) -> None:
        self.kind, self.about = kind, about
        self.pk: int | None = None

    def key(self, tx: Connection) -> int:
        """The action's own key."""
        if self.pk is None:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            new = insert(actions).values(at=at, kind=self.kind, about=self.about[:128]).returning(actions.c.pk)
            self.pk = tx.execute(new).scalar_one()
        return self.pk


@contextmanager
def attached(tx: Connection, recorder: Recorder | None) -> Iterator[None]:
    """Let changes in the transaction ``tx`` be noted by ``recorder``, ``None``: by nobody."""
    before = recorder.pk if recorder is not None else None
    tx.info[_KEY] = recorder
    try:
        yield
    except BaseException:
        if recorder is not None:
            recorder.pk = before  # what the transaction added is gone with it
        raise
    finally:
        tx.info.pop(_KEY, None)


def recording(tx: Connection) -> bool:
    """Whether changes are noted now."""
    return tx.info.get(_KEY) is not None


def note(tx: Connection, what: str, changed: Mapping[int, tuple[str | None, str | None]]) -> None:
    """Note that ``changed`` (key to value before and after) are of kind ``what``; without an action does nothing."""
    recorder: Recorder | None = tx.info.get(_KEY)
    if recorder is None or not changed:
        return
    pk = recorder.key(tx)
    rows = [
        {"action": pk, "what": what, "first": first, "last": last, "before": before, "after": after}
        for first, last, before, after in _runs(changed)
    ]
    tx.execute(insert(action_changes), rows)


def note_keys(tx: Connection, what: str, keys: Iterable[int]) -> None:
    """Note ``keys`` of samples or votes that are new or ended."""
    note(tx, what, dict.fromkeys(keys, (None, None)))


def changes(conn: Connection, action: int) -> dict[str, dict[int, tuple[str | None, str | None]]]:
    """What an action changed: kind of change -> key -> value before its first and after its last change."""
    found: dict[str, dict[int, tuple[str | None, str | None]]] = {}
    table = action_changes.c
    query = select(table.what, table.first, table.last, table.before, table.after).where(table.action == action)
    for what, first, last, before, after in conn.execute(query.order_by(table.pk)):
        of = found.setdefault(what, {})
        for key in range(first, last + 1):
            of[key] = (of[key][0] if key in of else before, after)
    return found


def inherit(tx: Connection, again: Mapping[int, int]) -> None:
    """Let the actions that brought votes (keys of ``again``) own the rows as which they count again (its values)."""
    table = action_changes.c
    owners = select(table.action, table.first, table.last).where(table.what == VOTED)
    for action, first, last in tx.execute(owners).all() if again else ():
        rows = [
            {"action": action, "what": VOTED, "first": again[key], "last": again[key]}
            for key in range(first, last + 1)
            if key in again
        ]
        if rows:
            tx.execute(insert(action_changes), rows)


def _runs(
    changed: Mapping[int, tuple[str | None, str | None]],
) -> Iterator[tuple[int, int, str | None, str | None]]:
    """Neighbours with the same values as one: first and last key, before, after."""
    run: tuple[int, int, str | None, str | None] | None = None
    for key in sorted(changed):
        before, after = changed[key]
        if run is not None and key == run[1] + 1 and (before, after) == run[2:]:
            run = (run[0], key, before, after)
            continue
        if run is not None:
            yield run
        run = (key, key, before, after)
    if run is not None:
        yield run
