"""The pool to choose from: every sample as columns, with what selection needs to know about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Integer, Select, case, cast, literal, select

from emolab.catalog import fitness
from emolab.catalog.storage import schema
from emolab.records import HOLDOUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.votes.picture_bar import Bar

_samples, _tasks = schema.samples, schema.remote_tasks
#: Rows that are read at once: few, so that they are still in the processor's cache when they become columns.
_ROWS = 500
_JUDGE, _UNFIT = 1, 2


@dataclass(frozen=True)
class PoolColumns:
    """What can be chosen from, by columns; all arrays have the length n of ``ids`` and its order (by time added).

    ``pk`` int64 keys; ``votes`` int32 people who voted; ``pending`` bool: asked for and not yet
    answered; ``hidden`` bool: stands behind the representative of its duplicate group; ``group`` int32 index of
    its group (-1: none); ``judge`` bool: belongs to the valid or test split; ``duplicate`` int64 row of the sample
    that stands for its duplicate group (its own row without one); ``unfit`` bool: below the bar that was asked for.
    """

    ids: list[str]
    pk: NDArray[np.int64]
    votes: NDArray[np.int32]
    pending: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    group: NDArray[np.int32]
    judge: NDArray[np.bool_]
    duplicate: NDArray[np.int64]
    unfit: NDArray[np.bool_]


def read(conn: Connection, bar: Bar | None = None, *, only: ColumnElement[bool] | None = None) -> PoolColumns:
    """Every sample with what selection needs to know about it: votes, pending, duplicate, group, split.

    A sample is pending when it was suggested or sent to a labelling server and nobody has answered yet. Without a
    ``bar`` every sample is fit. ``only``: samples of which this SQL is true, as of a consent; the others are not there.
    """
    ids: list[str] = []
    copies: dict[int, str] = {}
    groups: defaultdict[str | None, int] = defaultdict(lambda: len(groups))
    groups[None] = 0
    parts: list[list[NDArray[Any]]] = [[] for _ in range(4)]
    for pk, sid, votes, group, flags, representative in _columns(conn, _query(bar, only)):
        if representative.count(None) < len(representative):
            pairs = enumerate(zip(representative, sid, strict=True), start=len(ids))
            copies.update((row, of) for row, (of, own) in pairs if of is not None and of != own)
        ids += sid
        parts[0].append(np.array(pk, dtype=np.int64))
        parts[1].append(np.array(votes, dtype=np.int32))
        parts[2].append(np.array([groups[name] for name in group], dtype=np.int32))
        parts[3].append(np.array(flags, dtype=np.int8))
    types = (np.int64, np.int32, np.int32, np.int8)
    pks, n_votes, numbers, marks = (
        np.concatenate(part) if part else np.empty(0, dtype=dtype) for part, dtype in zip(parts, types, strict=True)
    )
    hidden = np.zeros(len(ids), dtype=bool)
    hidden[list(copies)] = True
    return PoolColumns(
        ids=ids,
        pk=pks,
        votes=n_votes,
        pending=(n_votes == 0) & np.isin(pks, _asked(conn)),
        hidden=hidden,
        group=numbers - 1,
        judge=marks & _JUDGE != 0,
        duplicate=_stands_for(ids, copies),
        unfit=marks & _UNFIT != 0,
    )


def _query(bar: Bar | None, only: ColumnElement[bool] | None) -> Select[Any]:
    judge = case((_samples.c.split.in_(("valid", "test", HOLDOUT)), _JUDGE), else_=0)
    unfit = literal(0) if bar is None else case((fitness.unfit(bar).is_not(None), _UNFIT), else_=0)
    return (
        select(
            _samples.c.pk,
            _samples.c.id,
            _samples.c.n_votes,
            _samples.c.group,
            cast(judge + unfit, Integer),
            _samples.c.representative,
        )
        .where(schema.present, *([] if only is None else [only]))
        .order_by(_samples.c.pk)
    )


def _columns(conn: Connection, query: Select[Any]) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """The result by columns, a few hundred rows at a time.

    SQLite's own cursor is read where it is the database: with a million rows, what SQLAlchemy adds to each counts. Only
    a result that is not streamed leaves that cursor alone.
    """
    if conn.dialect.name == "sqlite":
        cursor = conn.execute(query).cursor
        while cursor is not None and (rows := cursor.fetchmany(_ROWS)):
            yield tuple(zip(*rows, strict=True))
        return
    for part in conn.execution_options(yield_per=_ROWS).execute(query).partitions():
        yield tuple(zip(*part, strict=True))


def _asked(conn: Connection) -> NDArray[np.int64]:
    """Keys of the samples that were suggested or lie with a labelling server.

    They are read after the samples: what is sent meanwhile is pending rather than chosen twice.
    """
    suggested = select(schema.suggestions.c.sample)
    sent = select(_tasks.c.sample).where(_tasks.c.state != "deleted")
    return np.array(
        [pk for query in (suggested, sent) for columns in _columns(conn, query) for pk in columns[0]], dtype=np.int64
    )


def _stands_for(ids: Sequence[str], copies: Mapping[int, str]) -> NDArray[np.int64]:
    """The row that stands for each row; copies of a sample that is gone are stood for by the first of them."""
    rows = np.arange(len(ids), dtype=np.int64)
    if not copies:
        return rows
    wanted = set(copies.values())
    place = {sample_id: row for row, sample_id in enumerate(ids) if sample_id in wanted}
    for row, representative in sorted(copies.items()):
        rows[row] = place.setdefault(representative, row)
    return rows
