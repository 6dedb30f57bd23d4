"""Every row about given samples taken out of the catalog for good, and what other rows say of them.

Tables are found by their foreign keys, and texts by the type of their column, so that one that comes later is not
missed. Nothing of this is a tombstone or a withdrawal: the rows are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Column, String, Table, delete, func, or_, select, update

from emolab.catalog.storage import counters, schema
from emolab.catalog.storage.chunks import chunks

if TYPE_CHECKING:
    from sqlalchemy import Connection

_samples, _votes, _labels = schema.samples, schema.votes, schema.labels
#: Tables whose rows are about samples, or are counts: their texts go with their rows.
_WHOLE = ("samples", "votes", "labels", "suggestions", "tombstones", "sample_counts", "vote_counts", "label_counts")
#: Columns of words of emolab's own, of moments and of hashes.
_CODES = (
    *(
        "at",
        "kind",
        "alias",
        "strategy",
        "state",
        "label",
        "second",
        "guess",
        "method",
        "version",
        "scope",
        "text_hash",
    ),
    *("given_at", "expires_at", "withdrawn_at", "added_at", "created_at", "cursor", "what", "server", "undone_at"),
    *("classes", "undoes", "id", "also"),
)


def delete_samples(tx: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Delete the samples ``ids`` and all rows about them; how many went of each table.

    Samples that one of them stood for, or was the origin of, stand for themselves then.
    """
    gone: dict[str, int] = {}
    for part in chunks(list(ids), 500):
        tx.execute(update(_samples).where(_samples.c.representative.in_(part)).values(representative=None))
        tx.execute(update(_samples).where(_samples.c.parent.in_(part)).values(parent=None))
        keys = select(_samples.c.pk).where(_samples.c.id.in_(part))
        # on PostgreSQL: who adds a row about one of them now ends first, or is told that there is no such sample
        tx.execute(keys.with_for_update()).all()
        late = delete(schema.tombstones).where(
            schema.tombstones.c.vote.in_(select(_votes.c.pk).where(_votes.c.sample.in_(keys)))
        )
        _count(gone, "tombstones", tx.execute(late).rowcount)
        for table, column in _about_samples():
            _count(gone, table.name, tx.execute(delete(table).where(column.in_(keys))).rowcount)
        _count(gone, "samples", tx.execute(delete(_samples).where(_samples.c.id.in_(part))).rowcount)
    if gone.get("samples"):  # keys may be given again, so nothing that was noted by key can be taken back any more
        _count(gone, "action_changes", tx.execute(delete(schema.action_changes)).rowcount)
        tx.execute(delete(schema.actions))
    if gone.get("labels"):
        in_set = select(func.count()).where(_labels.c.label_set == schema.label_sets.c.pk).scalar_subquery()
        tx.execute(update(schema.label_sets).values(n=in_set))
    return {name: n for name, n in gone.items() if n}


def count_rows(conn: Connection, ids: Sequence[str]) -> dict[str, int]:
    """How many rows each table has about the samples ``ids``."""
    found: dict[str, int] = {}
    for part in chunks(list(ids), 500):
        keys = select(_samples.c.pk).where(_samples.c.id.in_(part))
        for table, column in (*_about_samples(), (_samples, _samples.c.pk)):
            _count(found, table.name, conn.execute(select(func.count()).where(column.in_(keys))).scalar_one())
    return {name: n for name, n in found.items() if n}


def count_consents(conn: Connection, *, subjects: Collection[str], ids: Sequence[str]) -> int:
    """How many entries of the consent register are about these subjects and samples."""
    column = schema.consents.c
    parts = [column.subject.in_(list(subjects)), *(column.sample.in_(part) for part in chunks(list(ids), 500))]
    return sum(conn.execute(select(func.count()).where(part)).scalar_one() for part in parts)


def delete_consents(tx: Connection, *, subjects: Collection[str], ids: Sequence[str]) -> int:
    """Delete the entries of the consent register about these subjects and samples."""
    table = schema.consents
    gone = int(tx.execute(delete(table).where(table.c.subject.in_(list(subjects)))).rowcount)
    for part in chunks(list(ids), 500):
        gone += int(tx.execute(delete(table).where(table.c.sample.in_(part))).rowcount)
    return gone


def delete_sources(tx: Connection, names: Iterable[str]) -> int:
    """Delete what is recorded of these sources, and the annotators that stood for them, where no sample is left."""
    gone = 0
    for name in names:
        if tx.execute(select(_samples.c.pk).where(_samples.c.source == name).limit(1)).first() is None:
            gone += int(tx.execute(delete(schema.sources).where(schema.sources.c.name == name)).rowcount)
            voted = select(_votes.c.annotator).distinct()
            theirs = schema.annotators.c.name == name, schema.annotators.c.kind == "dataset"
            tx.execute(delete(schema.annotators).where(*theirs, schema.annotators.c.pk.not_in(voted)))
    counters.fold(tx, least=1)  # PostgreSQL keeps differences, each with the name
    tx.execute(delete(schema.sample_counts).where(schema.sample_counts.c.n == 0))
    return gone


def counts_of_gone(conn: Connection, names: Iterable[str]) -> list[str]:
    """The table of counts, where it has rows about one of these sources of which there is no sample."""
    table, there = schema.sample_counts.c, select(_samples.c.source).distinct()
    query = select(func.count()).where(table.source.in_(list(names)), table.source.not_in(there))
    return ["sample_counts.source"] if conn.execute(query).scalar_one() else []


def clean_texts(tx: Connection, cleaned: Callable[[Any], Any]) -> int:
    """Let ``cleaned`` take traces out of every text and document in tables that are not about samples; rows changed."""
    changed = 0
    for table, column in _texts():
        key = list(table.primary_key.columns)
        for row in tx.execute(select(*key, column).where(column.is_not(None))).all():
            new = cleaned(row[-1])
            if new != row[-1]:
                same = [each == value for each, value in zip(key, row[:-1], strict=True)]
                tx.execute(update(table).where(*same).values({column: new}))
                changed += 1
    return changed


def dirty_texts(conn: Connection, cleaned: Callable[[Any], Any]) -> list[str]:
    """The columns of such tables, as TABLE.COLUMN, in which ``cleaned`` would change something."""
    return [
        f"{table.name}.{column.name}"
        for table, column in _texts()
        if any(cleaned(value) != value for value in conn.execute(select(column).where(column.is_not(None))).scalars())
    ]


def _about_samples() -> Iterator[tuple[Table, Column[Any]]]:
    """Each table with a foreign key to samples, and its column."""
    for _, table in sorted(schema.metadata.tables.items()):
        for column in table.c:
            if any(key.column is _samples.c.pk for key in column.foreign_keys):
                yield table, column


def _texts() -> Iterator[tuple[Table, Column[Any]]]:
    """The columns of text and JSON that may name a sample; keys and references of a table are never rewritten."""
    for name, table in sorted(schema.metadata.tables.items()):
        if name in _WHOLE or name in ("models", "snapshots", "annotators", "sources"):
            continue
        for column in table.c:
            kind = isinstance(column.type, String | JSON)
            if kind and not column.primary_key and not column.foreign_keys and column.name not in _CODES:
                yield table, column
    for table_name, name in (("models", "config"), ("models", "metrics"), ("sources", "note")):
        yield schema.metadata.tables[table_name], schema.metadata.tables[table_name].c[name]


def _count(found: dict[str, int], name: str, n: int) -> None:
    found[name] = found.get(name, 0) + int(n)


def other_samples_named(conn: Connection, ids: Sequence[str]) -> int:
    """How many other samples name one of ``ids`` as what they stand behind or were cut from."""
    n = 0
    for part in chunks(list(ids), 500):
        named = or_(_samples.c.representative.in_(part), _samples.c.parent.in_(part))
        n += int(conn.execute(select(func.count()).where(named, _samples.c.id.not_in(part))).scalar_one())
    return n
