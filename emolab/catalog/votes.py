"""The ledger of votes: only ever added to; a tombstone takes one out of the count. ``tallies`` sums it up.

An *origin* names the place an opinion lives (one annotation on one server, one row of one dataset). Reading the same
opinion twice adds nothing; reading it changed adds the new one and a tombstone for the earlier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    exists,
    func,
    insert,
    literal_column,
    select,
)

from emolab.catalog.samples import keys as sample_keys
from emolab.catalog.storage import actions, schema, vote_rows
from emolab.catalog.storage.chunks import chunks, insert_or_ignore, update_each
from emolab.catalog.storage.counted import EDITED
from emolab.catalog.storage.engine import now
from emolab.errors import DataError
from emolab.records import SKIPPED, Vote

_votes, _samples, _annotators, _tombstones = (
    schema.votes,
    schema.samples,
    schema.annotators,
    schema.tombstones,
)
_BATCH = 20_000
#: What the origins of votes begin with that no server has: the app's page *Try it* put them into the ledger.
APP = "app:"


class _Active(NamedTuple):
    """What is known of a vote that counts: ``answers`` is the number of people it adds to its sample."""

    pk: int
    content: str
    sample: int
    answers: int


class Known(NamedTuple):
    """What the ledger knows of one origin, withdrawn votes included; labels as :func:`said` writes them.

    ``counted`` is the label that counts at present, ``shown`` what its annotator was last known to have seen,
    ``refused`` the labels that were ever refused for one of the reasons asked about, with the reason.
    """

    counted: str | None = None
    shown: str | None = None
    refused: Mapping[str, str] = MappingProxyType({})


_UNKNOWN = Known()


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
        content = vote_rows.content(vote)
        earlier = active.get(vote.origin)
        if vote.origin in latest:
            if rows[latest[vote.origin]]["content"] == content:
                continue
            raise DataError(f"One batch holds two different votes of the same origin {vote.origin}.")
        if earlier is not None:
            if earlier.content == content:
                continue
            dead.append((earlier.pk, EDITED))
            change[earlier.sample] -= earlier.answers
        latest[vote.origin] = len(rows)
        change[samples[vote.sample_id]] += _answers(vote.label, vote.count, vote.rejected)
        rows.append(vote_rows.values(vote, samples[vote.sample_id], annotators[vote.annotator], content, moment))
    if rows:
        tx.execute(insert(_votes), rows)
    _bury(tx, dead, moment)
    _recount(tx, change)
    if actions.recording(tx):
        found = _active_by_origin(tx, list(latest))
        actions.note_keys(tx, actions.VOTED, (vote.pk for vote in found.values()))
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


def iterate(
    conn: Connection,
    *,
    include_rejected: bool = False,
    sample_id: str | None = None,
    sample_ids: Sequence[str] | None = None,
) -> Iterator[Vote]:
    """Every active vote in the order it came in, streamed; rejected ones on demand.

    Only those about ``sample_id``, or about one of up to 500 ``sample_ids``, when they are given.
    """
    v = _votes.c
    query = (
        select(_samples.c.id, _annotators.c.name, *vote_rows.COLUMNS)
        .select_from(_votes)
        .join(_samples, _samples.c.pk == v.sample)
        .join(_annotators, _annotators.c.pk == v.annotator)
        .where(alive())
        .order_by(v.pk)
    )
    if not include_rejected:
        query = query.where(_votes.c.rejected.is_(None))
    if sample_id is not None:
        query = query.where(_samples.c.id == sample_id)
    if sample_ids is not None:
        query = query.where(_samples.c.id.in_(sample_ids))
    for row in conn.execute(query.execution_options(yield_per=5000)):
        yield vote_rows.vote(tuple(row))


def known(conn: Connection, names: Iterable[str], *, refused: Collection[str]) -> dict[str, Known]:
    """What the ledger knows of these origins; those it has never heard of are left out.

    ``refused`` are the reasons of the rejected votes whose labels are wanted.
    """
    found: dict[str, Known] = {}
    dead = _tombstones.c.vote.is_not(None)
    for part in chunks(sorted(set(names)), 500):
        query = (
            select(_votes.c.origin, _votes.c.label, _votes.c.also, _votes.c.rejected, _votes.c.shown, dead)
            .outerjoin(_tombstones, _tombstones.c.vote == _votes.c.pk)
            .where(_votes.c.origin.in_(part))
            .order_by(_votes.c.pk)
        )
        for origin, first, also, rejected, shown, buried in conn.execute(query):
            label = first and said((first, *(also or ())))
            before = found.get(origin, _UNKNOWN)
            if rejected in refused and label is not None:
                before = before._replace(refused={**before.refused, label: rejected})
            if not buried:
                before = before._replace(counted=label if rejected is None else None)
            found[origin] = before._replace(shown=before.shown if shown is None else shown)
    return found


def said(labels: Sequence[str]) -> str:
    """The labels of one answer as one text, to compare answers: usually the only label."""
    return "\n".join(labels)


def contents(conn: Connection, names: Iterable[str]) -> dict[str, dict[str, bool]]:
    """Everything that these origins ever said: origin to content hash, and whether that has no tombstone."""
    found: dict[str, dict[str, bool]] = {}
    for part in chunks(sorted(set(names)), 500):
        query = select(_votes.c.origin, _votes.c.content, alive()).where(_votes.c.origin.in_(part))
        for origin, content, active in conn.execute(query):
            said = found.setdefault(origin, {})
            said[content] = said.get(content, False) or bool(active)
    return found


def annotator_kinds(conn: Connection) -> dict[str, str]:
    """The kind of every annotator, by pseudonym: ``person``, ``dataset`` or ``inspector``."""
    return {name: kind for name, kind in conn.execute(select(_annotators.c.name, _annotators.c.kind))}


def count_refused(conn: Connection) -> tuple[int, int]:
    """How many votes without a tombstone do not count, and how many of these have no label."""
    query = select(func.count(), func.count() - func.count(_votes.c.label)).select_from(_votes)
    refused, skips = conn.execute(query.where(alive(), _votes.c.rejected.is_not(None))).one()
    return int(refused), int(skips)


def count_active(conn: Connection) -> int:
    """How many votes count: neither withdrawn nor rejected."""
    query = select(func.count()).select_from(_votes).where(alive(), _votes.c.rejected.is_(None))
    return int(conn.execute(query).scalar_one())


def given(conn: Connection, origin: str) -> Vote | None:
    """The newest vote of this origin, also one that was withdrawn; ``None`` where the ledger has never heard of it."""
    query = (
        select(_samples.c.id, _annotators.c.name, *vote_rows.COLUMNS)
        .join(_samples, _samples.c.pk == _votes.c.sample)
        .join(_annotators, _annotators.c.pk == _votes.c.annotator)
        .where(_votes.c.origin == origin)
        .order_by(_votes.c.pk.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    return None if row is None else vote_rows.vote(tuple(row))


def origins(conn: Connection, prefix: str) -> dict[str, str]:
    """Active votes whose origin starts with ``prefix``: origin to content hash."""
    query = select(_votes.c.origin, _votes.c.content).where(alive(), _starts(conn, _votes.c.origin, prefix))
    return {key: value for key, value in conn.execute(query)}


def any_about(conn: Connection, sample_ids: Sequence[str], prefix: str) -> bool:
    """Whether there ever was a vote about one of these samples whose origin begins with ``prefix``."""
    for part in chunks(sample_ids, 500):
        query = select(_votes.c.pk).join(_samples, _samples.c.pk == _votes.c.sample)
        query = query.where(_samples.c.id.in_(part), _starts(conn, _votes.c.origin, prefix)).limit(1)
        if conn.execute(query).first() is not None:
            return True
    return False


def counted(conn: Connection, prefix: str) -> set[str]:
    """The origins beginning with ``prefix`` whose votes count: neither withdrawn nor rejected."""
    query = select(_votes.c.origin).where(alive(), _votes.c.rejected.is_(None), _starts(conn, _votes.c.origin, prefix))
    return set(conn.execute(query).scalars())


def newest(conn: Connection) -> int:
    """A mark for :func:`counted_after`: the place of the newest vote in the ledger, 0 where there is none."""
    return int(conn.execute(select(func.coalesce(func.max(_votes.c.pk), 0))).scalar_one())


def counted_after(conn: Connection, prefix: str, *, mark: int = 0, moment: str = "") -> int:
    """How many votes whose origin begins with ``prefix`` count and came after ``mark`` and after ``moment``."""
    query = select(func.count()).where(
        _votes.c.pk > mark, _votes.c.seen_at > moment, alive(), _votes.c.rejected.is_(None),
        _starts(conn, _votes.c.origin, prefix),
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())


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


def alive_among(conn: Connection, names: Sequence[str]) -> dict[str, int]:
    """Those of these origins that have a vote without a tombstone, and its key."""
    return {origin: vote.pk for origin, vote in _active_by_origin(conn, names).items()}


def alive() -> ColumnElement[bool]:
    """True for votes without a tombstone."""
    return ~exists().where(_tombstones.c.vote == _votes.c.pk)


def refusal() -> ColumnElement[str | None]:
    """Why a vote does not count, in one word: ``skipped`` or ``rejected``; null for one that does.

    The words stand in the statement itself: PostgreSQL would not take two parameters for the same thing.
    """
    skipped, rejected = (literal_column(f"'{word}'", String) for word in (SKIPPED, "rejected"))
    return case((_votes.c.rejected == skipped, skipped), (_votes.c.rejected.is_not(None), rejected), else_=None)


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
        rows = conn.execute(select(*columns, _votes.c.rejected).where(_votes.c.origin.in_(part), alive()))
        for origin, pk, content, sample, label, people, rejected in rows:
            found[origin] = _Active(pk, content, sample, _answers(label, people, rejected))
    return found


def _answers(label: str | None, people: int, rejected: str | None) -> int:
    return people if label is not None and rejected is None else 0


def _bury(tx: Connection, dead: Sequence[tuple[int, str]], moment: str) -> None:
    if dead:
        actions.note_keys(tx, actions.ENDED, (pk for pk, _ in dead))
        tx.execute(insert(_tombstones), [{"vote": pk, "reason": reason, "at": moment} for pk, reason in dead])


def _recount(tx: Connection, change: Counter[int]) -> None:
    n_votes = _samples.c.n_votes
    update_each(tx, _samples.c.pk, n_votes, {pk: n for pk, n in change.items() if n}, to=lambda n: n_votes + n)
