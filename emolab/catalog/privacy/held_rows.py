"""Every row of the catalog that is about given samples, whichever table it is in.

Tables are found by their foreign keys to samples, so a table that comes later is not missed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, or_, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks

if TYPE_CHECKING:
    from sqlalchemy import Connection

_samples = schema.samples
_ID = re.compile("[0-9a-f]{64}")


def samples_of(conn: Connection, subject: str) -> list[str]:
    """The ids of all samples whose group is ``subject``, those taken out too, in the order they were added."""
    query = select(_samples.c.id).where(_samples.c.group == subject).order_by(_samples.c.pk)
    return list(conn.execute(query).scalars())


def rows_about(conn: Connection, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """All rows about the samples ``ids``, by table, ready for JSON; tables without any are left out.

    ``samples`` are the samples themselves. In other tables the column of the sample holds its id instead of its key,
    and that of the annotator the pseudonym; votes tell in ``withdrawn`` why they no longer count.
    """
    called: dict[int, str] = {}
    found: dict[str, list[dict[str, Any]]] = {"samples": []}
    for part in chunks(list(ids), 500):
        for row in conn.execute(select(_samples).where(_samples.c.id.in_(part)).order_by(_samples.c.pk)):
            called[row.pk] = row.id
            found["samples"].append(_plain(dict(row._mapping)))
    people = {pk: name for pk, name in conn.execute(select(schema.annotators.c.pk, schema.annotators.c.name))}
    for name, table in sorted(schema.metadata.tables.items()):
        for column in table.c:
            if any(key.column is _samples.c.pk for key in column.foreign_keys):
                found.setdefault(name, []).extend(_rows(conn, column, called, people))
    _tell_withdrawn(conn, found.get("votes", []))
    return {name: rows for name, rows in found.items() if rows}


def rows_of_annotator(conn: Connection, name: str, persons: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """All rows about the annotator called ``name`` and what ``persons`` (names in the app) answered, by table.

    As :func:`rows_about`: ids instead of keys, and votes tell in ``withdrawn`` why they no longer count.
    """
    annotators = schema.annotators
    held = [row for row in conn.execute(select(annotators).where(annotators.c.name == name))]
    people = {row.pk: str(row.name) for row in held}
    found = {"annotators": [_plain(dict(row._mapping)) for row in held]}
    for table in schema.metadata.tables.values():
        for column in table.c:
            if any(key.column is annotators.c.pk for key in column.foreign_keys):
                found[table.name] = _rows(conn, column, people, people)
    answers = schema.app_answers
    given = conn.execute(select(answers).where(answers.c.person.in_(list(persons))).order_by(answers.c.pk))
    found["app_answers"] = [_plain(dict(row._mapping)) for row in given]
    _name_samples(conn, found)
    _tell_withdrawn(conn, found.get("votes", []))
    return {table: rows for table, rows in found.items() if rows}


def _name_samples(conn: Connection, found: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Put the ids of samples in place of their keys."""
    keys = sorted({row["sample"] for rows in found.values() for row in rows if isinstance(row.get("sample"), int)})
    called: dict[int, str] = {}
    for part in chunks(keys, 500):
        query = select(_samples.c.pk, _samples.c.id).where(_samples.c.pk.in_(part))
        called |= {pk: name for pk, name in conn.execute(query)}
    for rows in found.values():
        for row in rows:
            if isinstance(row.get("sample"), int):
                row["sample"] = called[row["sample"]]


def events_about(conn: Connection, subject: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The events of the audit trail whose details say exactly ``subject`` somewhere, or hold one of ``ids``."""
    known = set(ids)
    return [
        _plain(dict(row._mapping))
        for row in conn.execute(select(schema.events).order_by(schema.events.c.pk))
        if any(text == subject or not known.isdisjoint(_ID.findall(text)) for text in _texts(row.detail))
    ]


def _texts(value: object) -> Iterator[str]:
    """Every text in ``value``, which came from JSON: of keys and of values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def consents_about(conn: Connection, subject: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Every entry of the consent register about ``subject`` or one of ``ids``, the earlier ones too."""
    table, found = schema.consents, dict[int, dict[str, Any]]()
    for part in chunks(list(ids), 500) if ids else [[]]:
        query = select(table).where(or_(table.c.subject == subject, table.c.sample.in_(part)))
        found |= {row.pk: _plain(dict(row._mapping)) for row in conn.execute(query)}
    return [found[pk] for pk in sorted(found)]


def _rows(
    conn: Connection, column: Column[Any], called: dict[int, str], people: dict[int, str]
) -> list[dict[str, Any]]:
    made = []
    for part in chunks(sorted(called), 500):
        for row in conn.execute(select(column.table).where(column.in_(part))):
            values = dict(row._mapping)
            values[column.name] = called[values[column.name]]
            if isinstance(values.get("annotator"), int):
                values["annotator"] = people.get(values["annotator"])
            made.append(_plain(values))
    return made


def _tell_withdrawn(conn: Connection, rows: list[dict[str, Any]]) -> None:
    table, why = schema.tombstones, dict[int, str]()
    for part in chunks([row["pk"] for row in rows], 500):
        query = select(table.c.vote, table.c.reason).where(table.c.vote.in_(part))
        why |= {vote: reason for vote, reason in conn.execute(query)}
    for row in rows:
        row["withdrawn"] = why.get(row["pk"])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` ready for JSON: bytes as base64."""
    return {key: base64.b64encode(v).decode() if isinstance(v, bytes) else v for key, v in values.items()}
