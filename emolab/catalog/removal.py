"""Samples taken out of the workspace: nothing sees them any more but the ledger, which keeps their votes as withdrawn.

What else a sample had goes with it: its labels, its place in rounds, its split, its part in a group of near copies.
What lies in a project of Label Studio is not taken out, for people may be answering it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, select, update

from emolab.catalog import labels, votes
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.engine import now

_samples, _votes, _tasks = schema.samples, schema.votes, schema.remote_tasks
#: The reason in the tombstones of the votes.
REASON = "sample removed"
#: Whose votes have other origins than an open dataset's: what people keep on the app's page *Try it*.
_ORIGINS = {"tryout": votes.APP}


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes: samples by id, and the origins of ``votes``; what stays: samples ``shared`` with others, who voted on
    them, and those ``sent`` to a project of Label Studio. ``labelled`` of the ones that go have a label now."""

    samples: Sequence[str]
    votes: Sequence[str]
    shared: Sequence[str]
    sent: Sequence[str]
    labelled: int


def plan(conn: Connection, *, ids: Sequence[str] = (), sources: Iterable[str] = ()) -> Removal:
    """What taking out samples ``ids``, and all that came from ``sources``, would do.

    Of a source its votes go everywhere, and its samples unless others voted on them too. ``ids`` go whoever voted.
    """
    sources = tuple(sources)
    origins: dict[str, None] = {}
    for source in sources:
        origins.update(dict.fromkeys(votes.origins(conn, _ORIGINS.get(source, f"reader:{source}:"))))
    query = select(_samples.c.id).where(_samples.c.source.in_(sources), schema.present).order_by(_samples.c.pk)
    own = list(conn.execute(query).scalars())
    said = _origins(conn, [*own, *ids])
    chosen = set(ids)
    shared = [name for name in own if name not in chosen and any(each not in origins for each in said.get(name, ()))]
    candidates = list(dict.fromkeys([*ids, *(name for name in own if name not in set(shared))]))
    there = sent(conn, candidates)
    gone = [name for name in candidates if name not in there]
    for name in gone:
        origins.update(dict.fromkeys(said.get(name, ())))
    return Removal(gone, list(origins), shared, sorted(there), _labelled(conn, gone))


def carry_out(tx: Connection, removal: Removal) -> int:
    """Take out what ``removal`` says; returns how many votes were withdrawn."""
    withdrawn = votes.withdraw(tx, removal.votes, REASON)
    moment = now()
    for part in chunks(list(removal.samples), 500):
        keys = select(_samples.c.pk).where(_samples.c.id.in_(part))
        tx.execute(delete(schema.labels).where(schema.labels.c.sample.in_(keys)))
        tx.execute(delete(schema.suggestions).where(schema.suggestions.c.sample.in_(keys)))
        gone = {"removed_at": moment, "split": None, "representative": None}
        tx.execute(update(_samples).where(_samples.c.id.in_(part)).values(gone))
        alone = update(_samples).where(_samples.c.representative.in_(part))
        tx.execute(alone.values(representative=None))
    return withdrawn


def _origins(conn: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """The origins of the active votes on ``ids``, rejected ones and skips too."""
    found: dict[str, list[str]] = {}
    for part in chunks(list(dict.fromkeys(ids)), 500):
        query = select(_samples.c.id, _votes.c.origin).join(_samples, _samples.c.pk == _votes.c.sample)
        for name, origin in conn.execute(query.where(_samples.c.id.in_(part), votes.alive())):
            found.setdefault(name, []).append(origin)
    return found


def sent(conn: Connection, ids: Sequence[str]) -> set[str]:
    """Those of ``ids`` that lie in a project, or are on their way."""
    found: set[str] = set()
    there = exists().where(_tasks.c.sample == _samples.c.pk, _tasks.c.state != "deleted")
    for part in chunks(list(ids), 500):
        found.update(conn.execute(select(_samples.c.id).where(_samples.c.id.in_(part), there)).scalars())
    return found


def _labelled(conn: Connection, ids: Sequence[str]) -> int:
    head = labels.head(conn)
    if head is None:
        return 0
    n = 0
    for part in chunks(list(ids), 500):
        keys = select(_samples.c.pk).where(_samples.c.id.in_(part))
        query = select(func.count(schema.labels.c.sample.distinct())).where(schema.labels.c.sample.in_(keys))
        n += int(conn.execute(query).scalar_one())
    return n
