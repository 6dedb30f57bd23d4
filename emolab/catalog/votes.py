"""The ledger of votes: only ever added to; a tombstone takes one out of the count.

An *origin* names the place an opinion lives (one annotation on one server, one row of one dataset). Reading the same
opinion twice adds nothing; reading it changed adds the new one and a tombstone for the earlier.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, insert, select, update

from emolab.catalog import schema
from emolab.catalog.chunks import chunks, insert_or_ignore
from emolab.catalog.engine import now
from emolab.catalog.samples import keys as sample_keys
from emolab.errors import DataError
from emolab.records import Vote, VoteTable
from emolab.taxonomy import META

if TYPE_CHECKING:
    from numpy.typing import NDArray

_votes, _samples, _annotators, _tombstones = (
    schema.votes,
    schema.samples,
    schema.annotators,
    schema.tombstones,
)
_BATCH = 20_000


class _Active(NamedTuple):
    """What is known of a vote that counts: ``answers`` is the number of people it adds to its sample."""

    pk: int
    content: str
    sample: int
    answers: int


def append(tx: Connection, batch: Iterable[Vote], *, kind: str = "person") -> int:
    """Add votes that are not in the ledger yet and return how many that were; edited ones supersede the earlier.

    ``kind`` of annotator: ``person``, ``dataset`` or ``inspector``. Raises :class:`DataError` for a sample that is not
    in the catalog.
    """
    new = 0
    todo = list(batch)
    for part in chunks(todo, _BATCH):
        new += _append(tx, part, kind)
    return new


def _append(tx: Connection, part: Sequence[Vote], kind: str) -> int:
    moment = now()
    samples = sample_keys(tx, list({vote.sample_id for vote in part}))
    annotators = annotator_keys(tx, {vote.annotator for vote in part}, kind=kind)
    active = _active_by_origin(tx, list({vote.origin for vote in part}))
    rows: list[dict[str, Any]] = []
    latest: dict[str, int] = {}
    dead: list[tuple[int, str]] = []
    change: Counter[int] = Counter()
    for vote in part:
        if vote.sample_id not in samples:
            raise DataError(f"A vote is about sample {vote.sample_id}, which is not in the catalog.")
        content = _content(vote)
        earlier = active.get(vote.origin)
        if vote.origin in latest:
            if rows[latest[vote.origin]]["content"] == content:
                continue
            raise DataError(f"One batch holds two different votes of the same origin {vote.origin}.")
        if earlier is not None:
            if earlier.content == content:
                continue
            dead.append((earlier.pk, "edited"))
            change[earlier.sample] -= earlier.answers
        latest[vote.origin] = len(rows)
        change[samples[vote.sample_id]] += _answers(vote.label, vote.count, vote.rejected)
        rows.append(
            {
                "sample": samples[vote.sample_id],
                "annotator": annotators[vote.annotator],
                "label": vote.label,
                "count": vote.count,
                "lead_time": vote.lead_time,
                "round": vote.round,
                "origin": vote.origin,
                "content": content,
                "perspective": vote.perspective,
                "confidence": vote.confidence,
                "second": vote.second,
                "cast_at": vote.cast_at,
                "seen_at": moment,
                "rejected": vote.rejected,
            }
        )
    if rows:
        tx.execute(insert(_votes), rows)
    _bury(tx, dead, moment)
    _recount(tx, change)
    return len(rows)


def withdraw(tx: Connection, origins: Iterable[str], reason: str) -> int:
    """Take the votes of these origins out of the count (they stay in the ledger) and return how many that were."""
    active = _active_by_origin(tx, list(set(origins)))
    _bury(tx, [(vote.pk, reason) for vote in active.values()], now())
    change: Counter[int] = Counter()
    for vote in active.values():
        change[vote.sample] -= vote.answers
    _recount(tx, change)
    return len(active)


def table(conn: Connection, classes: Sequence[str], *, perspective: str | None = None) -> VoteTable:
    """Every active vote for one of ``classes``, as columns: the input of aggregation.

    Skips, meta labels, rejected votes and classes that the project no longer has are left out.
    """
    query = (
        select(_votes.c.sample, _votes.c.annotator, _votes.c.label, _votes.c.count)
        .where(_alive(), _votes.c.rejected.is_(None), _votes.c.label.in_(list(classes)))
        .order_by(_votes.c.pk)
    )
    if perspective is not None:
        query = query.where(_votes.c.perspective == perspective)
    number = {name: i for i, name in enumerate(classes)}
    parts: list[np.ndarray[Any, Any]] = []
    for rows in conn.execute(query.execution_options(yield_per=100_000)).partitions():
        sample, annotator, label, count = zip(*rows, strict=True)
        parts.append(
            np.stack(
                [
                    np.array(sample, dtype=np.int64),
                    np.array(annotator, dtype=np.int64),
                    np.array([number[name] for name in label], dtype=np.int64),
                    np.array(count, dtype=np.int64),
                ]
            )
        )
    columns = np.concatenate(parts, axis=1) if parts else np.empty((4, 0), dtype=np.int64)
    sample_pk, sample_row = np.unique(columns[0], return_inverse=True)
    annotator_pk, annotator_row = np.unique(columns[1], return_inverse=True)
    names = {key: value for key, value in conn.execute(select(_annotators.c.pk, _annotators.c.name))}
    return VoteTable(
        samples=_ids(conn, sample_pk),
        annotators=[names[int(pk)] for pk in annotator_pk],
        classes=tuple(classes),
        sample=sample_row.astype(np.int32),
        annotator=annotator_row.astype(np.int32),
        label=columns[2].astype(np.int16),
        weight=columns[3].astype(np.float32),
    )


def iterate(conn: Connection, *, include_rejected: bool = False, sample_id: str | None = None) -> Iterator[Vote]:
    """Every active vote in the order it came in, streamed; rejected ones on demand."""
    v = _votes.c
    said = (v.label, v.origin, v.count, v.lead_time, v.round, v.perspective, v.confidence, v.second, v.cast_at)
    query = (
        select(_samples.c.id, _annotators.c.name, *said, v.rejected)
        .select_from(_votes)
        .join(_samples, _samples.c.pk == v.sample)
        .join(_annotators, _annotators.c.pk == v.annotator)
        .where(_alive())
        .order_by(v.pk)
    )
    if not include_rejected:
        query = query.where(_votes.c.rejected.is_(None))
    if sample_id is not None:
        query = query.where(_samples.c.id == sample_id)
    for row in conn.execute(query.execution_options(yield_per=5000)):
        yield _vote(tuple(row))


def count(conn: Connection) -> dict[str, int]:
    """How many votes are ``active``, ``meta``, ``skipped``, ``rejected``, ``withdrawn``; ``people`` sums the counts."""
    query: Select[Any] = (
        select(_votes.c.label, _votes.c.rejected.is_not(None), func.count(), func.sum(_votes.c.count))
        .where(_alive())
        .group_by(_votes.c.label, _votes.c.rejected.is_not(None))
    )
    totals: Counter[str] = Counter(active=0, people=0, meta=0, skipped=0, rejected=0)
    for label, rejected, rows, people in conn.execute(query):
        if rejected:
            totals["rejected"] += rows
        elif label is None:
            totals["skipped"] += rows
        elif label in META:
            totals["meta"] += rows
        else:
            totals["active"] += rows
            totals["people"] += int(people)
    totals["withdrawn"] = int(conn.execute(select(func.count()).select_from(_tombstones)).scalar_one())
    return dict(totals)


def count_annotators(conn: Connection, kind: str = "person") -> int:
    """How many annotators of this kind are known."""
    query = select(func.count()).select_from(_annotators).where(_annotators.c.kind == kind)
    return int(conn.execute(query).scalar_one())


def meta_counts(conn: Connection) -> dict[str, dict[str, int]]:
    """For each sample id with meta answers how many people gave which, for example ``{"ab..": {"no_face": 2}}``."""
    query = (
        select(_samples.c.id, _votes.c.label, func.sum(_votes.c.count))
        .join(_samples, _samples.c.pk == _votes.c.sample)
        .where(_alive(), _votes.c.rejected.is_(None), _votes.c.label.in_(META))
        .group_by(_samples.c.id, _votes.c.label)
    )
    found: dict[str, dict[str, int]] = {}
    for sample_id, label, people in conn.execute(query):
        found.setdefault(sample_id, {})[label] = int(people)
    return found


def tallies(conn: Connection, ids: Sequence[str], *, outside: str = "") -> dict[str, Counter[str]]:
    """For each of these sample ids how many people gave which answer; ids without answers are left out.

    ``outside`` leaves out votes whose origin starts with it, such as ``"reader:ferplus:"``.
    """
    found: dict[str, Counter[str]] = {}
    for part in chunks(ids, 500):
        query = (
            select(_samples.c.id, _votes.c.label, func.sum(_votes.c.count))
            .join(_samples, _samples.c.pk == _votes.c.sample)
            .where(_samples.c.id.in_(part), _alive(), _votes.c.rejected.is_(None), _votes.c.label.is_not(None))
            .group_by(_samples.c.id, _votes.c.label)
        )
        if outside:
            query = query.where(~_votes.c.origin.startswith(outside, autoescape=True))
        for sample_id, label, people in conn.execute(query):
            found.setdefault(sample_id, Counter())[label] += int(people)
    return found


def origins(conn: Connection, prefix: str) -> dict[str, str]:
    """Active votes whose origin starts with ``prefix``: origin to content hash."""
    query = select(_votes.c.origin, _votes.c.content).where(
        _alive(), _votes.c.origin >= prefix, _votes.c.origin < prefix + "\uffff"
    )
    return {key: value for key, value in conn.execute(query)}


def _starts(conn: Connection, column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether a text begins with ``prefix``: as a range on SQLite, whose LIKE cannot use the index."""
    if conn.dialect.name == "sqlite":
        return and_(column >= prefix, column < prefix + "\U0010ffff")
    return column.startswith(prefix, autoescape=True)


def annotator_keys(tx: Connection, names: Iterable[str], *, kind: str = "person") -> dict[str, int]:
    """The catalog's keys of these annotators, added where missing."""
    wanted = sorted(set(names))
    known = _annotator_keys(tx, wanted)
    fresh = [{"name": name, "kind": kind, "created_at": now()} for name in wanted if name not in known]
    if fresh:
        insert_or_ignore(tx, _annotators, fresh)
        known = _annotator_keys(tx, wanted)
    return known


def _annotator_keys(conn: Connection, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in chunks(names, 500):
        found.update(
            (a, b)
            for a, b in conn.execute(select(_annotators.c.name, _annotators.c.pk).where(_annotators.c.name.in_(part)))
        )
    return found


def _alive() -> ColumnElement[bool]:
    """True for votes without a tombstone."""
    return ~exists().where(_tombstones.c.vote == _votes.c.pk)


def _active_by_origin(conn: Connection, names: Sequence[str]) -> dict[str, _Active]:
    found: dict[str, _Active] = {}
    columns = (
        _votes.c.origin,
        _votes.c.pk,
        _votes.c.content,
        _votes.c.sample,
        _votes.c.label,
        _votes.c.count,
    )
    for part in chunks(names, 500):
        rows = conn.execute(select(*columns, _votes.c.rejected).where(_votes.c.origin.in_(part), _alive()))
        for origin, pk, content, sample, label, people, rejected in rows:
            found[origin] = _Active(pk, content, sample, _answers(label, people, rejected))
    return found


def _answers(label: str | None, people: int, rejected: str | None) -> int:
    return people if label is not None and rejected is None else 0


def _bury(tx: Connection, dead: Sequence[tuple[int, str]], moment: str) -> None:
    if dead:
        tx.execute(insert(_tombstones), [{"vote": pk, "reason": reason, "at": moment} for pk, reason in dead])


def _recount(tx: Connection, change: Counter[int]) -> None:
    rows = [{"the_pk": pk, "change": n} for pk, n in change.items() if n]
    if rows:
        statement = update(_samples).where(_samples.c.pk == bindparam("the_pk"))
        tx.execute(statement.values(n_votes=_samples.c.n_votes + bindparam("change")), rows)


def _content(vote: Vote) -> str:
    said = [
        vote.sample_id,
        vote.annotator,
        vote.label,
        vote.count,
        vote.second,
        vote.confidence,
        vote.rejected,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _ids(conn: Connection, pks: NDArray[np.int64]) -> list[str]:
    found: dict[int, str] = {}
    if len(pks) > 10_000:
        query = select(_samples.c.pk, _samples.c.id).where(_samples.c.n_votes > 0)
        found.update((a, b) for a, b in conn.execute(query))
    else:
        for part in chunks(pks.tolist(), 500):
            found.update(
                (a, b) for a, b in conn.execute(select(_samples.c.pk, _samples.c.id).where(_samples.c.pk.in_(part)))
            )
    return [found[pk] for pk in pks.tolist()]


def _vote(row: tuple[Any, ...]) -> Vote:
    (
        sample_id,
        annotator,
        label,
        origin,
        people,
        lead_time,
        number,
        perspective,
        confidence,
        second,
        cast_at,
        why,
    ) = row
    return Vote(
        sample_id=sample_id,
        annotator=annotator,
        label=label,
        origin=origin,
        count=people,
        lead_time=lead_time,
        round=number,
        perspective=perspective,
        confidence=confidence,
        second=second,
        cast_at=cast_at,
        rejected=why,
    )
