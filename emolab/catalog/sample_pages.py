"""Samples page by page, as a wall of pictures shows them: filtered, in an order, and counted.

A page begins where the one before it ended (keyset paging), so page 10,000 costs what the first does. What few samples
fit is searched for in ranges of keys and for a limited time; the page then says where the search goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from emolab.catalog import fitness, labels
from emolab.catalog.storage import schema

if TYPE_CHECKING:
    from emolab.catalog.labels import LabelHead
    from emolab.votes.picture_bar import Bar

_samples, _labels, _suggestions, _sets = schema.samples, schema.labels, schema.suggestions, schema.label_sets

Order = Literal["newest", "disagreement", "rank"]
#: The split of samples that have none, and the class of samples without a label.
NONE = "none"
#: Seconds that a search takes before it says how far it came. It goes through keys in ranges, the first and longest:
SECONDS, _FIRST, _LONGEST = 0.3, 20_000, 80_000
#: Quality below the bar for whatever reason.
ANY = "any"


@dataclass(frozen=True, kw_only=True)
class SampleFilter:
    """Which samples: those that fit everything that is given.

    ``label`` is the class of the current label or :data:`NONE`, ``split`` a split or :data:`NONE`, ``round`` the number
    of a round that proposed the sample. ``agreement`` (0..1): at most this share of the votes went to the label.
    ``duplicates``: near copies of another sample. ``unfit``: below the ``bar``, for the reason named (as in
    :mod:`emolab.catalog.fitness`) or for :data:`ANY`. ``answered``: has an answer, or has none. ``only``: this SQL
    is true of it.
    """

    label: str | None = None
    source: str | None = None
    split: str | None = None
    round: int | None = None
    agreement: float | None = None
    duplicates: bool = False
    unfit: str | None = None
    answered: bool | None = None
    bar: Bar | None = None
    only: ColumnElement[bool] | None = field(default=None, compare=False)


class PageMark(NamedTuple):
    """Where a page ended: what its last sample is ordered by, and the sample's key."""

    value: float
    pk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """One sample of a page. ``label`` and ``agreement`` are of the current labels; ``unfit`` says what is below the
    bar; ``duplicate_of`` is the sample that stands for it, ``votes`` counts people."""

    pk: int
    id: str
    name: str | None
    source: str
    split: str | None
    votes: int
    label: str | None
    agreement: float | None
    duplicate_of: str | None
    unfit: str | None
    value: float
    quality: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FoundPage:
    """The ``rows`` of a page, and where the next one begins; ``None``: no further sample fits.

    A page may hold few rows, or none, and still lead on: the search for more of them had taken its time. It had
    ``looked`` through so many samples, those in the catalog's gaps included; 0 where it went to the rows directly.
    """

    rows: list[PageRow]
    end: PageMark | None
    looked: int = 0


class PartCount(NamedTuple):
    """``n`` samples fit down to the key ``end``, below which counting goes on (``None``: these were all).

    It ``looked`` through so many samples, those in the catalog's gaps included; 0 where it went to the rows directly.
    """

    n: int
    end: int | None
    looked: int = 0


def page(
    conn: Connection,
    wanted: SampleFilter,
    *,
    order: Order = "newest",
    after: PageMark | None = None,
    n: int = 60,
    seconds: float = SECONDS,
) -> FoundPage:
    """Up to ``n`` samples that fit, those behind ``after`` in this ``order``; the search ends after some ``seconds``.

    ``newest``: what was added last comes first. ``disagreement``: labelled samples, the least agreed upon first.
    ``rank``: those of a round, as it ranked them.
    """
    head = labels.head(conn)
    if _nothing(wanted, order, head):
        return FoundPage(rows=[], end=None)
    search = _Search(conn, wanted, order, head)
    if order == "disagreement":
        return _by_agreement(search, after, n, seconds)
    if order == "rank" or wanted.round is not None:
        rows = search.rows(after, n + 1)
        return _cut(rows, n, PageMark(0, 0) if len(rows) > n else None)
    found: list[PageRow] = []
    began = below = _newest(conn) + 1 if after is None else after.pk
    for low, high in _ranges(below, seconds):
        found += search.rows(None, n + 1 - len(found), between=(low, high))
        below = low
        if len(found) > n:
            break
    return _cut(found, n, PageMark(below, below) if below > 1 else None, looked=began - below)


def count(conn: Connection, wanted: SampleFilter, *, below: int | None = None, seconds: float = SECONDS) -> PartCount:
    """How many samples fit among those added before the key ``below``, or among the newest part of them."""
    head = labels.head(conn)
    if _nothing(wanted, "newest", head):
        return PartCount(0, None)
    search = _Search(conn, wanted, "newest", head)
    if wanted.round is not None:
        return PartCount(search.count(None), None)
    began = end = _newest(conn) + 1 if below is None else below
    n = 0
    for low, high in _ranges(end, seconds):
        n += search.count((low, high))
        end = low
    return PartCount(n, end if end > 1 else None, began - end)


def _by_agreement(search: _Search, after: PageMark | None, n: int, seconds: float) -> FoundPage:
    """A page of labelled samples, searched for in stretches of the index of agreement."""
    found: list[PageRow] = []
    began, step, looked = time.monotonic(), _FIRST, 0
    while True:
        end = search.mark_behind(after, step)
        found += search.rows(after, n + 1 - len(found), until=end)
        if len(found) > n or end is None:
            return _cut(found, n, None)
        looked += step
        after, step = end, min(2 * step, _LONGEST)
        if time.monotonic() - began > seconds:
            return _cut(found, n, end, looked=looked)


def _newest(conn: Connection) -> int:
    return int(conn.execute(select(func.coalesce(func.max(_samples.c.pk), 0))).scalar_one())


def _ranges(below: int, seconds: float) -> Iterator[tuple[int, int]]:
    """Ranges [low, high) of keys, downwards from ``below``, each twice as long, until the time is over."""
    began, step = time.monotonic(), _FIRST
    while below > 1:
        low = max(1, below - step)
        yield low, below
        below, step = low, min(2 * step, _LONGEST)
        if time.monotonic() - began > seconds:
            return


def _cut(rows: list[PageRow], n: int, end: PageMark | None, *, looked: int = 0) -> FoundPage:
    """A page of ``n`` of the ``rows``; where there are more of them, it ends at its last one."""
    if len(rows) <= n:
        return FoundPage(rows=rows, end=end, looked=looked)
    return FoundPage(rows=rows[:n], end=PageMark(rows[n - 1].value, rows[n - 1].pk))


@dataclass(frozen=True)
class _Search:
    """One filter in one order, ready to be asked for rows."""

    conn: Connection
    wanted: SampleFilter
    order: Order
    head: LabelHead | None

    def rows(
        self,
        after: PageMark | None,
        n: int,
        *,
        between: tuple[int, int] | None = None,
        until: PageMark | None = None,
    ) -> list[PageRow]:
        """Up to ``n`` rows behind ``after``, ``between`` two keys (the lower one included), ``until`` one included."""
        by, key = _ordered_by(self.order), _key(self.wanted, self.order)
        query = _query(self.wanted, self.order, self.head, [*_columns(self.wanted), by.label("value")])
        if between is not None:
            query = query.where(key >= between[0], key < between[1])
        newest = self.order == "newest"
        if after is not None:
            query = query.where(key < after.pk) if newest else query.where(*_behind(by, key, after))
        if until is not None:
            query = query.where(by <= until.value, or_(by < until.value, key <= until.pk))
        query = query.order_by(key.desc()) if newest else query.order_by(by, key)
        classes = self.head.classes if self.head else ()
        return [_row(row, classes) for row in self.conn.execute(query.limit(n))]

    def mark_behind(self, after: PageMark | None, steps: int) -> PageMark | None:
        """The place so many labels behind ``after`` in the order of agreement; ``None``: there are not so many."""
        by, key = _labels.c.agreement, _labels.c.sample
        query = select(by, key).where(_labels.c.label_set == _current()).order_by(by, key)
        if after is not None:
            query = query.where(*_behind(by, key, after))
        row = self.conn.execute(query.offset(steps).limit(1)).one_or_none()  # within the index alone
        return None if row is None else PageMark(float(row[0]), int(row[1]))

    def count(self, between: tuple[int, int] | None) -> int:
        """How many rows there are ``between`` two keys, or in all."""
        key = _key(self.wanted, "newest")
        query = _query(self.wanted, "newest", self.head, [func.count()])
        if between is not None:
            query = query.where(key >= between[0], key < between[1])
        return int(self.conn.execute(query).scalar_one())


def of_ids(conn: Connection, ids: Sequence[str], wanted: SampleFilter) -> list[PageRow]:
    """Those of up to 500 ``ids`` that fit, in this order."""
    head = labels.head(conn)
    if _nothing(wanted, "newest", head):
        return []
    query = _query(wanted, "newest", head, [*_columns(wanted), _samples.c.pk.label("value")])
    classes = head.classes if head else ()
    found = {row.id: _row(row, classes) for row in conn.execute(query.where(_samples.c.id.in_(ids)))}
    return [found[each] for each in ids if each in found]


def _behind(by: ColumnElement[Any], key: ColumnElement[int], mark: PageMark) -> tuple[ColumnElement[bool], ...]:
    """True behind ``mark``, in a form at which the indexes of SQLite and PostgreSQL can begin."""
    return by >= mark.value, or_(by > mark.value, key > mark.pk)


def _nothing(wanted: SampleFilter, order: Order, head: LabelHead | None) -> bool:
    """Whether no sample can fit, whatever is in the catalog."""
    if head is None:
        return wanted.label not in (None, NONE) or wanted.agreement is not None or order == "disagreement"
    unknown = wanted.label is not None and wanted.label not in (*head.classes, NONE)
    return unknown or (order == "rank" and wanted.round is None)


def _by_label(wanted: SampleFilter, order: Order) -> bool:
    """Whether only samples with a label are asked for."""
    return order == "disagreement" or wanted.agreement is not None or wanted.label not in (None, NONE)


def _key(wanted: SampleFilter, order: Order) -> ColumnElement[int]:
    """The key of the table that is walked through."""
    return _labels.c.sample if _by_label(wanted, order) else _samples.c.pk


def _ordered_by(order: Order) -> ColumnElement[Any]:
    by: dict[str, ColumnElement[Any]] = {
        "newest": _samples.c.pk,
        "disagreement": _labels.c.agreement,
        "rank": _suggestions.c.rank,
    }
    return by[order]


def _columns(wanted: SampleFilter) -> list[ColumnElement[Any]]:
    unfit = [] if wanted.bar is None else [fitness.unfit(wanted.bar).label("unfit")]
    s = _samples.c
    return [
        *(s.pk, s.id, s.name, s.source, s.split, s.n_votes, s.representative, s.quality),
        *(_labels.c.hard, _labels.c.agreement),
        *unfit,
    ]


def _query(
    wanted: SampleFilter, order: Order, head: LabelHead | None, columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    of_set = _labels.c.label_set == (-1 if head is None else _current())
    if _by_label(wanted, order):
        made = select(*columns).select_from(_labels.join(_samples, _samples.c.pk == _labels.c.sample)).where(of_set)
    else:
        made = select(*columns).select_from(
            _samples.outerjoin(_labels, and_(_labels.c.sample == _samples.c.pk, of_set))
        )
    if wanted.round is not None:
        made = made.join(_suggestions, _suggestions.c.sample == _samples.c.pk)
        made = made.where(_suggestions.c.round == wanted.round)
    return made.where(schema.present, *_conditions(wanted, head))


def _current() -> Any:
    return select(_sets.c.pk).where(_sets.c.current).scalar_subquery()


def _conditions(wanted: SampleFilter, head: LabelHead | None) -> list[ColumnElement[bool]]:
    s, found = _samples.c, list[ColumnElement[bool]]()
    if wanted.label == NONE:
        found.append(_labels.c.sample.is_(None))
    elif wanted.label is not None and head is not None:
        found.append(_labels.c.hard == head.classes.index(wanted.label))
    if wanted.source is not None:
        found.append(s.source == wanted.source)
    if wanted.split is not None:
        found.append(s.split.is_(None) if wanted.split == NONE else s.split == wanted.split)
    if wanted.agreement is not None:
        found.append(_labels.c.agreement <= wanted.agreement)
    if wanted.duplicates:
        found += [s.representative.is_not(None), s.representative != s.id]
    if wanted.unfit is not None and wanted.bar is not None:
        reason = fitness.unfit(wanted.bar)
        found.append(reason.is_not(None) if wanted.unfit == ANY else reason == wanted.unfit)
    if wanted.answered is not None:
        found.append(s.n_votes > 0 if wanted.answered else s.n_votes == 0)
    return found if wanted.only is None else [*found, wanted.only]


def _row(row: Row[Any], classes: Sequence[str]) -> PageRow:
    return PageRow(
        pk=row.pk,
        id=row.id,
        name=row.name,
        source=row.source,
        split=row.split,
        votes=row.n_votes,
        label=None if row.hard is None else classes[row.hard],
        agreement=row.agreement,
        duplicate_of=row.representative if row.representative != row.id else None,
        unfit=getattr(row, "unfit", None),
        value=float(row.value),
        quality=row.quality or {},
    )
