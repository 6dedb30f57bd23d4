"""What happened to one sample: every vote the ledger ever had of it, and what a model's data say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from emolab.catalog.storage import schema
from emolab.errors import DataError
from emolab.provenance.identity import SPLIT_CODES

if TYPE_CHECKING:
    from sqlalchemy import Connection

_samples, _votes, _annotators, _tombstones = schema.samples, schema.votes, schema.annotators, schema.tombstones


def find_samples(conn: Connection, start: str) -> dict[str, str | None]:
    """Up to two samples whose id begins with ``start``, those taken out too: id -> when it was taken out."""
    query = select(_samples.c.id, _samples.c.removed_at).where(_samples.c.id.startswith(start, autoescape=True))
    return {row.id: row.removed_at for row in conn.execute(query.order_by(_samples.c.id).limit(2))}


def sample_row(conn: Connection, sample_id: str) -> dict[str, Any]:
    """All that the catalog says of the sample itself, also of one that was taken out."""
    row = conn.execute(select(_samples).where(_samples.c.id == sample_id)).one()
    return {name: value for name, value in row._mapping.items() if name not in ("pk", "phash", "landmarks")}


def source_row(conn: Connection, name: str) -> dict[str, Any] | None:
    """What is recorded of a source."""
    row = conn.execute(select(schema.sources).where(schema.sources.c.name == name)).one_or_none()
    return None if row is None else dict(row._mapping)


def ledger_of(conn: Connection, sample_id: str) -> list[dict[str, Any]]:
    """Every vote about a sample in the order they came, those with a tombstone too, with what became of each."""
    columns = (
        _annotators.c.name, _annotators.c.kind, _votes.c.label, _votes.c.also, _votes.c.count, _votes.c.second,
        _votes.c.confidence, _votes.c.lead_time, _votes.c.round, _votes.c.perspective, _votes.c.cast_at,
        _votes.c.seen_at, _votes.c.rejected, _votes.c.shown, _votes.c.origin, _tombstones.c.reason, _tombstones.c.at,
    )  # fmt: skip
    query = (
        select(*columns)
        .select_from(_votes)
        .join(_samples, _samples.c.pk == _votes.c.sample)
        .join(_annotators, _annotators.c.pk == _votes.c.annotator)
        .outerjoin(_tombstones, _tombstones.c.vote == _votes.c.pk)
        .where(_samples.c.id == sample_id)
        .order_by(_votes.c.pk)
    )
    found = []
    for row in conn.execute(query):
        told = dict(row._mapping)
        told["annotator"], told["withdrawn"], told["withdrawn_at"] = (
            told.pop("name"),
            told.pop("reason"),
            told.pop("at"),
        )
        found.append({**told, "also": told["also"] or [], "counts": not (told["withdrawn"] or told["rejected"])})
    return found


def place_in(folder: Path, sample_id: str) -> dict[str, Any] | None:
    """Which split of a model's data in ``folder`` the sample was in, and its shares by class; ``None``: in none.

    Raises :class:`DataError` for data that cannot be read.
    """
    names = {code: name for name, code in SPLIT_CODES.items()}
    try:
        about = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
        ids, targets, splits = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("ids", "targets", "splits"))
        rows = np.flatnonzero((ids == np.frombuffer(bytes.fromhex(sample_id), dtype=np.uint8)).all(axis=1))
        if not len(rows):
            return None
        shares = dict(zip(about["classes"], map(float, targets[rows[0]]), strict=True))
        return {"split": names[int(splits[rows[0]])], "shares": shares, "label_version": about["label_version"]}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The snapshot in {folder} cannot be read: {error}.", hint="Restore it from a backup."
        ) from error
