"""Label sets: what training believes, one current version at a time; older ones can be computed again from votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select, update

from emolab.catalog import schema
from emolab.catalog.chunks import chunks
from emolab.catalog.samples import keys
from emolab.errors import DataError
from emolab.records import LabelSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_sets, _labels, _samples = schema.label_sets, schema.labels, schema.samples


def write(tx: Connection, labels: LabelSet) -> bool:
    """Store ``labels`` as the current set; returns False when this version is current already.

    Rows of earlier sets are dropped (their version, method and settings stay on record): a label set is a pure
    function of votes and settings.
    """
    current = tx.execute(select(_sets.c.version).where(_sets.c.current)).scalar()
    if current == labels.version:
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


def current(conn: Connection) -> LabelSet | None:
    """The current label set, or ``None`` before the first aggregation. Samples in the order they were added."""
    head = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
    if head is None:
        return None
    query = (
        select(_samples.c.id, _labels.c.hard, _labels.c.votes, _labels.c.agreement, _labels.c.probs)
        .join(_samples, _samples.c.pk == _labels.c.sample)
        .where(_labels.c.label_set == head.pk)
        .order_by(_labels.c.sample)
    )
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
        version=head.version,
        classes=tuple(head.classes),
        samples=ids,
        probs=np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(ids), len(head.classes)),
        hard=columns[0].astype(np.int16),
        votes=columns[1].astype(np.int32),
        agreement=columns[2].astype(np.float32),
        method=head.method,
        created_at=head.created_at,
        settings=head.settings,
    )


def summary(conn: Connection) -> dict[str, Any] | None:
    """Version, method, number of labels and time of the current set and labels per class; ``None`` before the first."""
    head = conn.execute(select(_sets).where(_sets.c.current)).one_or_none()
    if head is None:
        return None
    query = select(_labels.c.hard, func.count()).where(_labels.c.label_set == head.pk).group_by(_labels.c.hard)
    per_class = {head.classes[hard]: int(n) for hard, n in conn.execute(query)}
    return {
        "version": head.version,
        "method": head.method,
        "n": head.n,
        "created_at": head.created_at,
        "per_class": {name: per_class.get(name, 0) for name in head.classes},
    }
