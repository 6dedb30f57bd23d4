"""The ledger of votes summed up: as columns for aggregation, and counted by answer, sample and annotator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, String, cast, func, or_, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.counted import ACTIVE
from emolab.catalog.storage.plain_rows import plain_rows
from emolab.catalog.votes import alive
from emolab.records import VoteTable
from emolab.taxonomy import META
from emolab.votes.perspectives import PERCEIVED, PERSPECTIVES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_votes, _samples, _annotators, _counts = schema.votes, schema.samples, schema.annotators, schema.vote_counts


def table(
    conn: Connection, classes: Sequence[str], *, only: str | None = None, prefer: str | None = PERCEIVED
) -> VoteTable:
    """Every active vote for one of ``classes``, as columns: the input of aggregation.

    Skips, meta labels, rejected votes and classes that the project no longer has are left out. What was perceived and
    what was intended are two questions: a sample has the votes of one perspective, ``prefer`` where there are some.
    An answer of k labels is k rows that share its one vote.
    ``prefer=None`` gives all votes, to compare and not to add; ``only`` those of one perspective.
    """
    several = only is None and prefer is not None and perspectives(conn) - {PERCEIVED}
    if several and prefer is not None:
        return _of_one_each(conn, classes, prefer)
    query = (
        select(_votes.c.sample, _votes.c.annotator, _votes.c.label, _votes.c.count)
        .where(alive(), _votes.c.rejected.is_(None), _votes.c.label.in_(list(classes)), _votes.c.also.is_(None))
        .order_by(_votes.c.pk)
    )
    if only is not None:
        query = query.where(_votes.c.perspective == only)
    number = {name: i for i, name in enumerate(classes)}
    parts: list[NDArray[np.int64]] = []
    for rows in plain_rows(conn, query):
        sample, annotator, label, count = zip(*rows, strict=True)
        parts.append(np.array([sample, annotator, [number[name] for name in label], count], dtype=np.int64))
    shared, weight = _of_several(conn, number, only)
    columns = np.concatenate([np.empty((4, 0), dtype=np.int64), *parts, shared], axis=1)
    columns_weight = columns[3].astype(np.float32)
    columns_weight[len(columns_weight) - len(weight) :] = weight
    sample_pk, sample_row = _numbered(columns[0])
    annotator_pk, annotator_row = _numbered(columns[1])
    names = {key: value for key, value in conn.execute(select(_annotators.c.pk, _annotators.c.name))}
    return VoteTable(
        samples=_ids(conn, sample_pk),
        annotators=[names[int(pk)] for pk in annotator_pk],
        classes=tuple(classes),
        sample=sample_row.astype(np.int32),
        annotator=annotator_row.astype(np.int32),
        label=columns[2].astype(np.int16),
        weight=columns_weight,
    )


def _of_several(
    conn: Connection, number: dict[str, int], only: str | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The answers of several labels: sample, annotator, class and people (4, m), and what each row weighs (m,)."""
    query = (
        select(_votes.c.sample, _votes.c.annotator, _votes.c.label, _votes.c.also, _votes.c.count)
        .where(alive(), _votes.c.rejected.is_(None), _votes.c.also.is_not(None))
        .order_by(_votes.c.pk)
    )
    if only is not None:
        query = query.where(_votes.c.perspective == only)
    rows, weight = [], []
    for sample, annotator, label, also, people in conn.execute(query):
        said = [number[name] for name in (label, *also) if name in number]
        rows += [(sample, annotator, each, people) for each in said]
        weight += [people / len(said)] * len(said)
    return np.array(rows, dtype=np.int64).reshape(-1, 4).T, np.array(weight, dtype=np.float64)


def perspectives(conn: Connection) -> set[str]:
    """The perspectives of the sources there are: few rows, where votes may be millions."""
    return set(conn.execute(select(schema.sources.c.perspective).distinct()).scalars())


def _of_one_each(conn: Connection, classes: Sequence[str], prefer: str) -> VoteTable:
    """All votes, but of each sample only those of the first perspective that it has votes of, ``prefer`` first."""
    order = list(dict.fromkeys([prefer, *PERSPECTIVES, *sorted(perspectives(conn))]))
    tables = [each for name in order if (each := table(conn, classes, only=name)).samples]
    seen: set[str] = set()
    parts: list[VoteTable] = []
    for each in tables:
        fresh = np.array([sample not in seen for sample in each.samples], dtype=bool)[each.sample]
        parts.append(
            replace(
                each, sample=each.sample[fresh], annotator=each.annotator[fresh], label=each.label[fresh],
                weight=each.weight[fresh],
            )
        )  # fmt: skip
        seen.update(each.samples)
    return joined(parts, tuple(classes))


def joined(parts: Sequence[VoteTable], classes: tuple[str, ...]) -> VoteTable:
    """The votes of all ``parts``, which have the same ``classes``, in one table; samples without votes are left out."""
    samples = list(dict.fromkeys(each.samples[row] for each in parts for row in np.unique(each.sample).tolist()))
    people = list(dict.fromkeys(name for each in parts for name in each.annotators))
    at = {sample: row for row, sample in enumerate(samples)}
    who = {name: row for row, name in enumerate(people)}
    sample, annotator, label, weight = [], [], [], []
    for each in parts:
        place = np.array([at.get(name, -1) for name in each.samples], dtype=np.int32)
        person = np.array([who[name] for name in each.annotators], dtype=np.int32)
        sample.append(place[each.sample])
        annotator.append(person[each.annotator])
        label.append(each.label)
        weight.append(each.weight)
    return VoteTable(
        samples=samples,
        annotators=people,
        classes=classes,
        sample=np.concatenate([*sample, np.empty(0, np.int32)]),
        annotator=np.concatenate([*annotator, np.empty(0, np.int32)]),
        label=np.concatenate([*label, np.empty(0, np.int16)]),
        weight=np.concatenate([*weight, np.empty(0, np.float32)]),
    )


def count(conn: Connection) -> dict[str, int]:
    """How many votes are ``active``, ``meta``, ``skipped``, ``rejected``, ``withdrawn``; ``people`` sums the counts."""
    by = (_counts.c.fate, _counts.c.refused, _counts.c.label)
    query = select(*by, func.sum(_counts.c.n), func.sum(_counts.c.people)).group_by(*by)
    totals: Counter[str] = Counter(active=0, people=0, meta=0, skipped=0, rejected=0, withdrawn=0)
    for fate, refused, label, rows, people in conn.execute(query):
        if fate != ACTIVE:
            totals["withdrawn"] += int(rows)
        elif refused:
            totals[refused] += int(rows)
        elif label in META:
            totals["meta"] += int(rows)
        else:
            totals["active"] += int(rows)
            totals["people"] += int(people)
    return dict(totals)


def dates(conn: Connection) -> tuple[str, str] | None:
    """When the first and the last of the votes that count was given, as far as known; ``None`` without votes."""
    moment = func.coalesce(_votes.c.cast_at, _votes.c.seen_at)
    first, last = conn.execute(
        select(func.min(moment), func.max(moment)).where(alive(), _votes.c.rejected.is_(None))
    ).one()
    return None if first is None else (str(first), str(last))


def datasets(conn: Connection) -> set[str]:
    """Names of the data sets that gave votes; everybody else who voted is a person or a model."""
    return set(conn.execute(select(_annotators.c.name).where(_annotators.c.kind == "dataset")).scalars())


def count_annotators(conn: Connection, kind: str = "person") -> int:
    """How many annotators of this kind are known."""
    query = select(func.count()).select_from(_annotators).where(_annotators.c.kind == kind)
    return int(conn.execute(query).scalar_one())


def annotator_keys(conn: Connection) -> dict[str, int]:
    """The catalog's key of every annotator, by name."""
    return {name: key for name, key in conn.execute(select(_annotators.c.name, _annotators.c.pk))}


def differing(conn: Connection, one: int, other: int, classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Samples on which two annotators, by key, gave different ``classes``: id, what the one and the other said.

    Labels of one answer are joined by a plus sign.
    """
    first, second = _votes.alias("first"), _votes.alias("second")
    gone = schema.tombstones.c.vote

    def counts(vote: Any) -> list[Any]:
        dead = select(gone).where(gone == vote.c.pk).exists()
        known = or_(vote.c.label.in_(list(classes)), vote.c.also.is_not(None))
        return [~dead, vote.c.rejected.is_(None), known]

    query = (
        select(_samples.c.id, first.c.label, first.c.also, second.c.label, second.c.also)
        .join(first, first.c.sample == _samples.c.pk)
        .join(second, second.c.sample == _samples.c.pk)
        .where(first.c.annotator == one, second.c.annotator == other)
        .where(or_(first.c.label != second.c.label, first.c.also.is_not(None), second.c.also.is_not(None)))
        .where(*counts(first), *counts(second), schema.present)
        .order_by(_samples.c.pk.desc())
    )
    found = []
    for sample, said, more, told, further in conn.execute(query):
        here = [name for name in (said, *(more or ())) if name in classes]
        there = [name for name in (told, *(further or ())) if name in classes]
        if here and there and set(here) != set(there):
            found.append((sample, " + ".join(here), " + ".join(there)))
    return found


def voters(conn: Connection, ids: Sequence[str]) -> dict[str, set[str]]:
    """Names of those who gave the votes that count on these samples, by kind: ``person``, ``dataset``, ..."""
    found: dict[str, set[str]] = {}
    for part in chunks(ids, 500):
        query = (
            select(_annotators.c.kind, _annotators.c.name)
            .join(_votes, _votes.c.annotator == _annotators.c.pk)
            .join(_samples, _samples.c.pk == _votes.c.sample)
            .where(alive(), _votes.c.rejected.is_(None), _samples.c.id.in_(part))
            .distinct()
        )
        for kind, name in conn.execute(query):
            found.setdefault(kind, set()).add(name)
    return found


def meta_counts(conn: Connection) -> dict[str, dict[str, int]]:
    """For each sample id with meta answers how many people gave which, for example ``{"ab..": {"no_face": 2}}``."""
    query = (
        select(_samples.c.id, _votes.c.label, func.sum(_votes.c.count))
        .join(_samples, _samples.c.pk == _votes.c.sample)
        .where(alive(), _votes.c.rejected.is_(None), _votes.c.label.in_(META))
        .group_by(_samples.c.id, _votes.c.label)
    )
    found: dict[str, dict[str, int]] = {}
    for sample_id, label, people in conn.execute(query):
        found.setdefault(sample_id, {})[label] = int(people)
    return found


def answers(conn: Connection, ids: Sequence[str], *, outside: str = "") -> dict[str, Counter[str]]:
    """For each of these sample ids how many people gave which answer; ids without answers are left out.

    Of an answer with several labels each counts. ``outside`` leaves out votes whose origin starts with it, such as
    ``"reader:ferplus:"``.
    """
    found: dict[str, Counter[str]] = {}
    for part in chunks(ids, 500):
        query = (
            select(_samples.c.id, _votes.c.label, cast(_votes.c.also, String), func.sum(_votes.c.count))
            .join(_samples, _samples.c.pk == _votes.c.sample)
            .where(_samples.c.id.in_(part), alive(), _votes.c.rejected.is_(None), _votes.c.label.is_not(None))
            .group_by(_samples.c.id, _votes.c.label, cast(_votes.c.also, String))
        )
        if outside:
            query = query.where(~_votes.c.origin.startswith(outside, autoescape=True))
        for sample_id, label, also, people in conn.execute(query):
            for each in (label, *json.loads(also or "[]")):
                found.setdefault(sample_id, Counter())[each] += int(people)
    return found


def _numbered(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct ``keys`` in order, and for each of the given ones (m,) its place among them."""
    if not len(keys) or keys.min() < 0 or keys.max() > 20 * len(keys):
        found, rows = np.unique(keys, return_inverse=True)
        return found, rows
    there = np.zeros(int(keys.max()) + 1, dtype=bool)  # keys are counted up: no need to sort millions of them
    there[keys] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[keys]


def _ids(conn: Connection, pks: NDArray[np.int64]) -> list[str]:
    found: dict[int, str] = {}
    if len(pks) > 10_000:
        for rows in plain_rows(conn, select(_samples.c.pk, _samples.c.id).where(_samples.c.n_votes > 0)):
            found.update(rows)
    else:
        for part in chunks(pks.tolist(), 500):
            found.update(
                (a, b) for a, b in conn.execute(select(_samples.c.pk, _samples.c.id).where(_samples.c.pk.in_(part)))
            )
    return [found[pk] for pk in pks.tolist()]
