"""Samples page by page, as a wall of pictures shows them: filtered, in an order, and counted.

A page begins where the one before it ended (keyset paging), so page 10,000 costs what the first does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
#: Quality below the bar for whatever reason.
ANY = "any"


@dataclass(frozen=True, kw_only=True)
class SampleFilter:
    """Which samples: those that fit everything that is given.

    ``label`` is the class of the current label or :data:`NONE`, ``split`` a split or :data:`NONE`, ``round`` the number
    of a round that proposed the sample. ``agreement`` (0..1): at most this share of the votes went to the label.
    ``duplicates``: near copies of another sample. ``unfit``: below the ``bar``, for the reason named (as in
    :mod:`emolab.catalog.fitness`) or for :data:`ANY`. ``answered``: has an answer, or has none.
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


def page(
    conn: Connection, wanted: SampleFilter, *, order: Order = "newest", after: PageMark | None = None, n: int = 60
) -> list[PageRow]:
    """Up to ``n`` samples that fit, those behind ``after`` in this ``order``.

    ``newest``: what was added last comes first. ``disagreement``: labelled samples, the least agreed upon first.
    ``rank``: those of a round, as it ranked them.
    """
    head = labels.head(conn)
    if _nothing(wanted, order, head):
        return []
    by = _ordered_by(order)
    key = _key(wanted, order)
    query = _query(wanted, order, head, [*_columns(wanted), by.label("value")])
    if after is not None:
        behind = key < after.pk
        query = query.where(behind if order == "newest" else or_(by > after.value, and_(by == after.value, behind)))
    ordered = query.order_by(key.desc()) if order == "newest" else query.order_by(by, key.desc())
    classes = head.classes if head else ()
    return [_row(row, classes) for row in conn.execute(ordered.limit(n))]


def count(conn: Connection, wanted: SampleFilter, *, most: int) -> int:
    """How many samples fit, counted up to ``most``."""
    head = labels.head(conn)
    if _nothing(wanted, "newest", head):
        return 0
    some = _query(wanted, "newest", head, [_key(wanted, "newest")]).limit(most).subquery()
    return int(conn.execute(select(func.count()).select_from(some)).scalar_one())


def of_ids(conn: Connection, ids: Sequence[str], wanted: SampleFilter) -> list[PageRow]:
    """Those of up to 500 ``ids`` that fit, in this order."""
    head = labels.head(conn)
    if _nothing(wanted, "newest", head):
        return []
    query = _query(wanted, "newest", head, [*_columns(wanted), _samples.c.pk.label("value")])
    classes = head.classes if head else ()
    found = {row.id: _row(row, classes) for row in conn.execute(query.where(_samples.c.id.in_(ids)))}
    return [found[each] for each in ids if each in found]


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
    return found


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
