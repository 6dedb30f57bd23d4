"""Samples in the catalog: adding, reading, counting, splits, duplicate groups, and their sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from emolab.catalog.storage import actions, schema
from emolab.catalog.storage.chunks import chunks, insert_or_ignore, update_each
from emolab.catalog.storage.engine import now
from emolab.errors import DataError
from emolab.records import HOLDOUT, SPLITS, Sample

if TYPE_CHECKING:
    pass

_table, _counts = schema.samples, schema.sample_counts
_COLUMNS = tuple(f.name for f in fields(Sample))
_SIGN = 1 << 63


@dataclass(frozen=True)
class AddResult:
    """Ids that were new, and ids that were there already, each in the order they came."""

    added: list[str]
    existing: list[str]


def add(tx: Connection, batch: Iterable[Sample]) -> AddResult:
    """Add samples that are not there yet; the ones that are stay as they are, those taken out earlier come back."""
    wanted: dict[str, Sample] = {}
    order: list[str] = []
    for sample in batch:
        wanted.setdefault(sample.id, sample)
        order.append(sample.id)
    known = set(keys(tx, list(wanted)))
    moment = now()
    back = _removed(tx, [name for name in wanted if name not in known])
    if back:
        columns: dict[str, Any] = {name: bindparam(f"the_{name}") for name in (*_COLUMNS, "removed_at") if name != "id"}
        rows = [{f"the_{name}": value for name, value in _values(wanted[each], moment).items()} for each in back]
        revive = update(_table).where(_table.c.id == bindparam("the_id")).values(columns)
        tx.execute(revive, [{**row, "the_removed_at": None} for row in rows])
    fresh = [_values(sample, moment) for sample in wanted.values() if sample.id not in known and sample.id not in back]
    for part in chunks(fresh, 1000):
        tx.execute(insert(_table), part)
    if actions.recording(tx):
        actions.note_keys(tx, actions.ADDED, keys(tx, [name for name in wanted if name not in known]).values())
    seen = set(known)
    result = AddResult([], [])
    for sample_id in order:
        (result.existing if sample_id in seen else result.added).append(sample_id)
        seen.add(sample_id)
    return result


def keys(conn: Connection, ids: Sequence[str]) -> dict[str, int]:
    """The catalog's own keys of the samples with these ids; unknown ids are left out."""
    found: dict[str, int] = {}
    for part in chunks(ids, 500):
        rows = conn.execute(select(_table.c.id, _table.c.pk).where(_table.c.id.in_(part), schema.present))
        found.update((row.id, row.pk) for row in rows)
    return found


def _removed(conn: Connection, ids: Sequence[str]) -> set[str]:
    """Those of ``ids`` that have been taken out."""
    found: set[str] = set()
    for part in chunks(ids, 500):
        found.update(conn.execute(select(_table.c.id).where(_table.c.id.in_(part), ~schema.present)).scalars())
    return found


def get(conn: Connection, sample_id: str) -> Sample:
    """The sample whose id is, or starts with, ``sample_id``.

    Raises :class:`DataError` when there is none or more than one.
    """
    rows = conn.execute(select(_table).where(_table.c.id == sample_id, schema.present)).all()
    if not rows:  # no index helps to find the start of an id
        near = _table.c.id.startswith(sample_id, autoescape=True)
        rows = conn.execute(select(_table).where(near, schema.present).limit(2)).all()
    if len(rows) != 1:
        what = "no sample" if not rows else "more than one sample"
        raise DataError(f'There is {what} whose id starts with "{sample_id}".', hint="Give more of the id.")
    return _sample(rows[0]._mapping)


def by_ids(conn: Connection, ids: Sequence[str]) -> list[Sample]:
    """The samples with these ids, in this order. Raises :class:`DataError` for an unknown one."""
    found: dict[str, Sample] = {}
    for part in chunks(ids, 500):
        rows = conn.execute(select(_table).where(_table.c.id.in_(part), schema.present))
        found.update((row.id, _sample(row._mapping)) for row in rows)
    missing = [sample_id for sample_id in ids if sample_id not in found]
    if missing:
        raise DataError(f"{len(missing)} samples are not in the catalog, the first is {missing[0]}.")
    return [found[sample_id] for sample_id in ids]


def iterate(
    conn: Connection,
    *,
    split: str | None = None,
    source: str | None = None,
    representatives: bool = False,
    after: int = 0,
    added: tuple[str, str] | None = None,
) -> Iterator[Sample]:
    """Every sample in the order it was added, streamed; optionally one split, one source, or no duplicates.

    ``added``: those that came in from the first of these moments (ISO 8601, UTC) until before the second.
    """
    query = select(_table).where(_table.c.pk > after, schema.present).order_by(_table.c.pk)
    if split is not None:
        query = query.where(_table.c.split == split)
    if source is not None:
        query = query.where(_table.c.source == source)
    if added is not None:
        query = query.where(_table.c.added_at >= added[0], _table.c.added_at < added[1])
    if representatives:
        query = query.where(_is_representative())
    for row in conn.execute(query.execution_options(yield_per=2000)):
        yield _sample(row._mapping)


def count(conn: Connection) -> int:
    """How many samples there are."""
    return _kept(conn, ~_counts.c.removed)


def ever(conn: Connection) -> bool:
    """Whether there is or was a sample: those taken out count too, for their files stay."""
    return conn.execute(select(_table.c.pk).limit(1)).first() is not None


def count_by(conn: Connection, column: Literal["source", "split"]) -> dict[str | None, int]:
    """How many samples there are for each value of ``column``; ``None``: without one."""
    of, n = _counts.c[column], func.sum(_counts.c.n)
    query = select(of, n).where(~_counts.c.removed).group_by(of).having(n != 0).order_by(of)
    return {value or None: int(number) for value, number in conn.execute(query)}


def count_answered(conn: Connection) -> int:
    """How many samples have at least one active answer, a class or a meta label."""
    return _kept(conn, _counts.c.answered)


def _kept(conn: Connection, *which: ColumnElement[bool]) -> int:
    return int(conn.execute(select(func.sum(_counts.c.n)).where(*which)).scalar_one() or 0)


def answered(conn: Connection, ids: Sequence[str]) -> set[str]:
    """Those of ``ids`` that have at least one active answer, a class or a meta label."""
    found: set[str] = set()
    for part in chunks(ids, 500):
        query = select(_table.c.id).where(_table.c.id.in_(part), schema.present, _table.c.n_votes > 0)
        found.update(conn.execute(query).scalars())
    return found


def count_waiting(conn: Connection) -> int:
    """How many samples lie on a labelling server without an answer."""
    return _count_open(conn, _table.c.n_votes == 0)


def count_unfinished(conn: Connection) -> int:
    """How many samples lie on a labelling server with some answers, but fewer than their task asks for.

    A task that somebody skipped is one of them until another person answers it.
    """
    return _count_open(conn, _table.c.n_votes > 0, _table.c.n_votes < schema.remote_tasks.c.overlap)


def _count_open(conn: Connection, *which: ColumnElement[bool]) -> int:
    tasks = schema.remote_tasks
    query = (
        select(func.count(tasks.c.sample.distinct()))
        .join(_table, _table.c.pk == tasks.c.sample)
        .where(tasks.c.state == "open", *which)
    )
    return int(conn.execute(query).scalar_one())


def splits(conn: Connection, ids: Sequence[str]) -> dict[str, str | None]:
    """The split of each of these samples; unknown ids are left out."""
    found: dict[str, str | None] = {}
    for part in chunks(ids, 500):
        rows = conn.execute(select(_table.c.id, _table.c.split).where(_table.c.id.in_(part), schema.present))
        found.update((row.id, row.split) for row in rows)
    return found


def set_splits(tx: Connection, splits: Mapping[str, str | None], *, holdout: bool = False) -> None:
    """Assign splits by sample id; with ``holdout`` that one, which is for good.

    Raises :class:`DataError` for a split that does not exist, and for one that would take a sample out of the holdout.
    """
    if holdout:
        _update(tx, "split", dict.fromkeys(splits, HOLDOUT))
        return
    unknown = {split for split in splits.values() if split not in (*SPLITS, None)}
    if unknown:
        raise DataError(f"{sorted(map(str, unknown))[0]} is not a split.", hint=f"Splits: {', '.join(SPLITS)}.")
    kept = 0
    for part in chunks(list(splits), 500):
        held = select(func.count()).where(_table.c.id.in_(part), _table.c.split == HOLDOUT)
        kept += int(tx.execute(held).scalar_one())
    if kept:
        raise DataError(
            f"{kept:,} of these samples are in the holdout, which no split takes from.",
            hint="See which ones: emolab holdout list",
        )
    _update(tx, "split", splits)


def set_representatives(tx: Connection, representatives: Mapping[str, str | None]) -> None:
    """Say by sample id which sample stands for its duplicate group (``None``: it stands for itself)."""
    _update(tx, "representative", representatives)


def set_guessed_groups(tx: Connection, groups: Mapping[str, str]) -> None:
    """Give samples, by id, a group that was guessed; those that have one keep it."""
    with_one: set[str] = set()
    for part in chunks(list(groups), 500):
        query = select(_table.c.id).where(_table.c.id.in_(part), _table.c.group.is_not(None))
        with_one.update(tx.execute(query).scalars())
    _update(tx, "group", {name: group for name, group in groups.items() if name not in with_one})


def put_back(tx: Connection, column: str, values: Mapping[int, str | None]) -> None:
    """Set ``column`` of samples, by their keys in the catalog, to what it was before."""
    update_each(tx, _table.c.pk, _table.c[column], values)


def _update(tx: Connection, column: str, values: Mapping[str, str | None]) -> None:
    if actions.recording(tx):
        of = _table.c[column]
        for part in chunks(list(values), 500):
            rows = tx.execute(select(_table.c.pk, _table.c.id, of).where(_table.c.id.in_(part)))
            changed = {pk: (before, values[name]) for pk, name, before in rows if before != values[name]}
            actions.note(tx, column, changed)
    update_each(tx, _table.c.id, _table.c[column], values)


def set_source(
    tx: Connection,
    name: str,
    *,
    supported: Sequence[str] | None,
    licence: str | None = None,
    perspective: str = "perceived",
    note: str | None = None,
) -> None:
    """Record where samples come from and which classes that source can show (``None``: all)."""
    row = {
        "name": name,
        "supported": None if supported is None else list(supported),
        "licence": licence,
        "perspective": perspective,
        "note": note,
    }
    insert_or_ignore(tx, schema.sources, [row])
    tx.execute(update(schema.sources).where(schema.sources.c.name == name).values(**row))


def supported(conn: Connection) -> dict[str, tuple[str, ...] | None]:
    """For every recorded source the classes it can show; ``None`` where it can show all."""
    rows = conn.execute(select(schema.sources.c.name, schema.sources.c.supported))
    return {name: None if classes is None else tuple(classes) for name, classes in rows}


def _is_representative() -> ColumnElement[bool]:
    return or_(_table.c.representative.is_(None), _table.c.representative == _table.c.id)


def _values(sample: Sample, moment: str) -> dict[str, Any]:
    values = {name: getattr(sample, name) for name in _COLUMNS}
    values["added_at"] = sample.added_at or moment
    values["quality"] = dict(sample.quality)
    if sample.phash is not None:
        values["phash"] = sample.phash - (1 << 64) if sample.phash >= _SIGN else sample.phash
    return values


def _sample(row: RowMapping | Row[Any]) -> Sample:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS}  # type: ignore[call-overload]
    values["quality"] = values["quality"] or {}
    values["box"] = None if values["box"] is None else tuple(values["box"])
    if values["landmarks"] is not None:
        values["landmarks"] = tuple((x, y) for x, y in values["landmarks"])
    if values["phash"] is not None:
        values["phash"] %= 1 << 64
    return Sample(**values)
