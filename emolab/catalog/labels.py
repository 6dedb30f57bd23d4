"""Label sets: what training believes, one current version at a time; older ones can be computed again from votes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from emolab.catalog import ledger_mark, settings
from emolab.catalog.ledger_mark import LedgerMark
from emolab.catalog.samples import keys
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.errors import DataError
from emolab.records import LabelSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_sets, _labels, _samples, _counts = schema.label_sets, schema.labels, schema.samples, schema.label_counts
#: The fact under which the catalog keeps how far the ledger was when the current set was made of it.
MADE_AT = "labels_made_at"


class LabelHead(NamedTuple):
    """The current set without its labels: what it is called, how it was made, for which classes, and how many ``n``.

    ``made_at`` is the mark of the ledger it was made of; ``None`` for sets of a catalog that kept none.
    """

    version: str
    method: str
    classes: tuple[str, ...]
    settings: Any
    n: int
    created_at: str
    made_at: LedgerMark | None


def lock(tx: Connection) -> None:
    """Let nobody else store labels until the transaction ends; SQLite's write transactions do that by themselves."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"LOCK TABLE {_sets.name} IN EXCLUSIVE MODE")


def write(tx: Connection, labels: LabelSet, made_at: LedgerMark | None = None) -> bool:
    """Store ``labels`` as the current set; returns False when this version is current already.

    ``made_at`` is the mark of the ledger they were made of. Rows of earlier sets are dropped (their version, method and
    settings stay on record): a label set is a pure function of votes and settings.
    """
    lock(tx)
    settings.put(tx, MADE_AT, json.dumps([labels.version, made_at]))
    current = tx.execute(select(_sets.c.version).where(_sets.c.current)).scalar()
    if current == labels.version:
        tx.execute(update(_sets).where(_sets.c.current).values(settings=dict(labels.settings)))  # it may have told less
        return False
    tx.execute(update(_sets).where(_sets.c.current).values(current=False))
    tx.execute(delete(_labels))
    row = {
        "version": labels.version,
        "method": labels.method,
        "classes": list(labels.classes),
        "settings": dict(labels.settings),
        "n": len(labels.samples),
        "created_at": labels.created_at,
        "current": True,
    }
    known = tx.execute(select(_sets.c.pk).where(_sets.c.version == labels.version)).scalar()
    if known is None:
        known = tx.execute(insert(_sets).values(**row).returning(_sets.c.pk)).scalar_one()
    else:
        tx.execute(update(_sets).where(_sets.c.pk == known).values(**row))
    probs = np.ascontiguousarray(labels.probs, dtype="<f4")
    for rows in chunks(range(len(labels.samples)), 20_000):
        ids = [labels.samples[i] for i in rows]
        pk = keys(tx, ids)
        missing = [sample_id for sample_id in ids if sample_id not in pk]
        if missing:
            raise DataError(f"A label is about sample {missing[0]}, which is not in the catalog.")
        tx.execute(
            insert(_labels),
            [
                {
                    "label_set": known,
                    "sample": pk[labels.samples[i]],
                    "hard": int(labels.hard[i]),
                    "votes": int(labels.votes[i]),
                    "agreement": float(labels.agreement[i]),
                    "probs": probs[i].tobytes(),
                }
                for i in rows
            ],
        )
    return True


def head(conn: Connection) -> LabelHead | None:
    """What is known of the current set without reading its labels; ``None`` before the first aggregation."""
    found = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
    if found is None:
        return None
    version, mark = json.loads(settings.get(conn, MADE_AT) or "[null, null]")
    return LabelHead(
        version=found.version,
        method=found.method,
        classes=tuple(found.classes),
        settings=found.settings,
        n=found.n,
        created_at=found.created_at,
        made_at=ledger_mark.parse(mark) if version == found.version else None,
    )


def of(conn: Connection, sample_id: str) -> LabelSet | None:
    """The current label of one sample as a set of one; of none where it has no label, ``None`` before the first set."""
    found = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
    return None if found is None else _read(conn, found, sample_id)


def current(conn: Connection) -> LabelSet | None:
    """The current label set, or ``None`` before the first aggregation. Samples in the order they were added.

    PostgreSQL shows each statement what is there at its own moment. A set that another process replaces between the
    two statements is read again, until both show the same one.
    """
    while True:
        found = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
        if found is None:
            return None
        read = _read(conn, found)
        after = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
        if conn.dialect.name == "sqlite" or after == found:
            return read


def _read(conn: Connection, found: Row[Any], only: str | None = None) -> LabelSet:
    """The set of this row with its labels, or with that of one sample."""
    query = (
        select(_samples.c.id, _labels.c.hard, _labels.c.votes, _labels.c.agreement, _labels.c.probs)
        .join(_samples, _samples.c.pk == _labels.c.sample)
        .where(_labels.c.label_set == found.pk)
        .order_by(_labels.c.sample)
    )
    if only is not None:
        query = query.where(_samples.c.id == only)
    ids: list[str] = []
    numbers: list[NDArray[Any]] = []
    blobs: list[bytes] = []
    for rows in conn.execute(query.execution_options(yield_per=50_000)).partitions():
        sid, hard, votes, agreement, probs = zip(*rows, strict=True)
        ids.extend(sid)
        numbers.append(np.array([hard, votes, agreement], dtype=np.float64))
        blobs.append(b"".join(probs))
    columns = np.concatenate(numbers, axis=1) if numbers else np.empty((3, 0))
    return LabelSet(
        version=found.version,
        classes=tuple(found.classes),
        samples=ids,
        probs=np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(ids), len(found.classes)),
        hard=columns[0].astype(np.int16),
        votes=columns[1].astype(np.int32),
        agreement=columns[2].astype(np.float32),
        method=found.method,
        created_at=found.created_at,
        settings=found.settings,
    )


def summary(conn: Connection) -> dict[str, Any] | None:
    """Version, method, number of labels and time of the current set and labels per class; ``None`` before the first."""
    found = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
    if found is None:
        return None
    query = (
        select(_counts.c.hard, func.sum(_counts.c.n)).where(_counts.c.label_set == found.pk).group_by(_counts.c.hard)
    )
    per_class = {found.classes[hard]: int(n) for hard, n in conn.execute(query)}
    return {
        "version": found.version,
        "method": found.method,
        "n": sum(per_class.values()),  # label_sets.n is what was made; samples removed since are gone here
        "created_at": found.created_at,
        "per_class": {name: per_class.get(name, 0) for name in found.classes},
    }
