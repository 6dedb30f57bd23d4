"""Splits counted, set by hand, drawn again, and repaired where copies lie across them.

A *unit* (:mod:`emolab.datasets.splits.assign`) lies across splits when its members are in several. It is
repaired by one rule: **every member goes to the most held-out split that one of them is in, test before valid before
train.** So a test sample stays a test sample, and nothing that looks like one is trained on or chosen by. Samples
without a split are left alone: they get that of their unit when they get one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from emolab.catalog import events, labels, samples
from emolab.catalog.storage import schema
from emolab.datasets.splits.assign import assign, check, connect, held_out
from emolab.errors import DataError
from emolab.records import HOLDOUT

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from emolab.workspace import Workspace

#: What a sample without a split, or without a label, is counted under.
NONE = "none"


@dataclass(frozen=True, slots=True)
class Moves:
    """Samples by id that get another split (``None``: none any more), the ``units`` they belong to, and how many of
    them go ``between`` which splits."""

    to: Mapping[str, str | None]
    units: int
    between: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left_across: int = 0

    def rows(self) -> list[dict[str, str | int]]:
        """From, to and how many, the most first, for a table or JSON."""
        order = sorted(self.between.items(), key=lambda item: (-item[1], item[0]))
        return [{"from": a, "to": b, "samples": n} for (a, b), n in order]


def counts(conn: Connection) -> list[dict[str, str | int]]:
    """Samples by split, source and class of their current label."""
    hard = _hard(conn)
    table = schema.samples.c
    found: Counter[tuple[str, str, str]] = Counter()
    for name, split, source in conn.execute(select(table.id, table.split, table.source).where(schema.present)):
        found[split or NONE, source, hard.get(name, NONE)] += 1
    order = {"train": 0, "valid": 1, "test": 2, HOLDOUT: 3}
    return [
        {"split": split, "source": source, "class": label, "samples": n}
        for (split, source, label), n in sorted(found.items(), key=lambda item: (order.get(item[0][0], 4), item[0]))
    ]


def chosen(
    conn: Connection, *, ids: Sequence[str] = (), sources: Sequence[str] = (), groups: Sequence[str] = ()
) -> list[str]:
    """The ids of the samples named by id (or its start), by source or by group.

    Raises :class:`DataError` for a name that no sample has.
    """
    found: dict[str, None] = {samples.get(conn, each).id: None for each in ids}
    table = schema.samples.c
    for column, names in ((table.source, sources), (table.group, groups)):
        for name in names:
            own = list(
                conn.execute(select(table.id).where(column == name, schema.present).order_by(table.pk)).scalars()
            )
            if not own:
                there = [
                    str(each)
                    for each in conn.execute(select(column).where(schema.present).distinct().limit(6)).scalars()
                    if each
                ]
                some = (
                    f"There are, for example: {', '.join(there[:5])}." if there else f"No sample has a {column.name}."
                )
                raise DataError(f'No sample has the {column.name} "{name}".', hint=some)
            found.update(dict.fromkeys(own))
    return list(found)


def setting(conn: Connection, ids: Sequence[str], split: str | None) -> Moves:
    """What moves when ``ids`` are put in ``split``; samples of the holdout stay there.

    Raises :class:`DataError` where all of them are in the holdout.
    """
    before = samples.splits(conn, ids)
    if ids and all(before[name] == HOLDOUT for name in ids):
        raise DataError("These samples are in the holdout, which no split takes from.", hint="emolab holdout list")
    wanted = {name: split for name in ids if before[name] not in (split, HOLDOUT)}
    return _moves(_rows(conn), wanted, kinds=ALL)


def repair(conn: Connection, *, kinds: Iterable[str] = ("copies", "photos")) -> Moves:
    """What moves when units that lie across splits are repaired (see above).

    ``kinds`` of ties: near ``copies``, faces of one ``photos``, ``groups`` (a subject, a video).
    """
    rows = _rows(conn)
    kinds = tuple(kinds)
    wanted: dict[str, str | None] = {}
    for members in _units(rows, kinds):
        if any(row.split == HOLDOUT for row in members):
            continue  # emolab holdout add --settle
        split = held_out(row.split for row in members)
        wanted.update((row.id, split) for row in members if row.split is not None and row.split != split)
    return _moves(rows, wanted, kinds=ALL)


def draw(
    conn: Connection,
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    sources: Sequence[str] = (),
    keep_test: bool = True,
) -> Moves:
    """What moves when the splits of labelled samples, and of those that have a split, are drawn by ``shares``.

    Each class is spread by the shares, units stay whole. ``keep_test`` leaves test samples where they are, and their
    units with them. With ``sources`` only their samples are drawn. Raises :class:`DataError` for impossible shares.
    """
    check(shares)
    hard, rows = _hard(conn), _rows(conn)
    wanted = set(chosen(conn, sources=sources)) if sources else {row.id for row in rows}
    numbers = _numbers(rows, ALL)
    first: dict[int, str] = {}
    for row, unit in zip(rows, numbers, strict=True):
        first[unit] = min(row.id, first.get(unit, row.id))
    stays = _staying(rows, numbers, wanted, keep_test=keep_test)
    reserved = {unit for row, unit in zip(rows, numbers, strict=True) if row.split == HOLDOUT}
    drawn = [(row, unit) for row, unit in zip(rows, numbers, strict=True)
             if row.id in wanted and unit not in reserved and (row.split or row.id in hard)]  # fmt: skip
    fresh = {row.id: held_out(stays[unit]) for row, unit in drawn if stays[unit]}
    kept = "test" in shares  # what stays in test is a part of its share; without one it is none of theirs
    part = [(row, unit) for row, unit in drawn if not stays[unit] or (kept and fresh[row.id] == "test")]
    splits = assign(
        [first[unit] for _, unit in part],
        [hard.get(row.id) for row, _ in part],
        [fresh.get(row.id) for row, _ in part],
        shares=shares,
        seed=seed,
    )
    fresh.update((row.id, split) for (row, _), split in zip(part, splits, strict=True))
    before = {row.id: row.split for row in rows}
    fresh = {name: split for name, split in fresh.items() if split != before[name]}
    return _moves(rows, fresh, kinds=ALL)


def _staying(
    rows: Sequence[Row[Any]], numbers: Sequence[int], wanted: set[str], *, keep_test: bool
) -> defaultdict[int, set[str]]:
    """The splits that members of each unit keep: those that are not ``wanted``, and test samples."""
    stays: defaultdict[int, set[str]] = defaultdict(set)
    for row, unit in zip(rows, numbers, strict=True):
        if row.split and (row.id not in wanted or (keep_test and row.split == "test")):
            stays[unit].add(row.split)
    return stays


#: The kinds of ties between samples.
ALL = ("copies", "photos", "groups")


def move(
    workspace: Workspace,
    how: str,
    wanted: Callable[[Connection], Moves],
    *,
    agree: Callable[[Moves], None] | None = None,
    dry_run: bool = False,
) -> tuple[Moves, dict[str, int]]:
    """Carry out what ``wanted`` works out, noted as ``how``; the moves, and how many samples each split has then.

    ``agree`` is called with the moves before anything changes, and may raise.
    """
    with workspace.lock("merge"), workspace.catalog() as catalog, ExitStack() as stack:
        with catalog.connect() as conn:
            moves = wanted(conn)
        if not dry_run:
            if agree is not None:
                agree(moves)
            if how != HOLDOUT:  # which is for good
                stack.enter_context(catalog.recording("split", how))
            with catalog.begin() as tx:
                moves = wanted(tx)  # again: samples may have come, or got another group, while we asked
                samples.set_splits(tx, moves.to, holdout=how == HOLDOUT)
                if moves.to:
                    events.record(tx, "split", {"how": how, "moved": len(moves.to)})
        with catalog.connect() as conn:
            return moves, {split or NONE: n for split, n in samples.count_by(conn, "split").items()}


class Units(NamedTuple):
    """All samples (``rows``), the ``number`` of each one's unit by id, and the units ``reserved`` for the holdout."""

    rows: Sequence[Row[Any]]
    number: Mapping[str, int]
    reserved: frozenset[int]


def units_of(conn: Connection) -> Units:
    """The units of all samples, tied by near copies, photos and groups."""
    rows = _rows(conn)
    number = dict(zip((row.id for row in rows), _numbers(rows, ALL), strict=True))
    return Units(rows, number, frozenset(number[row.id] for row in rows if row.split == HOLDOUT))


def as_moves(units: Units, wanted: Mapping[str, str | None]) -> Moves:
    """``wanted`` with what it comes to."""
    return _moves(units.rows, wanted, kinds=ALL)


def _rows(conn: Connection) -> Sequence[Row[Any]]:
    table = schema.samples.c
    columns = (table.id, table.group, table.parent, table.representative, table.split)
    return list(conn.execute(select(*columns).where(schema.present).order_by(table.pk)))


def _numbers(rows: Sequence[Row[Any]], kinds: Sequence[str]) -> list[int]:
    """The unit of each row, tied by ``kinds``."""
    ties: list[list[str | None]] = []
    if "copies" in kinds:
        ties.append([row.representative or row.id for row in rows])
    if "photos" in kinds:
        ties.append([row.parent for row in rows])
    if "groups" in kinds:
        ties.append([row.group for row in rows])
    found: list[int] = connect([row.id for row in rows], *ties).tolist()
    return found


def _units(rows: Sequence[Row[Any]], kinds: Sequence[str]) -> list[list[Row[Any]]]:
    """The units that lie across splits."""
    members: dict[int, list[Row[Any]]] = defaultdict(list)
    for row, unit in zip(rows, _numbers(rows, kinds), strict=True):
        members[unit].append(row)
    return [unit for unit in members.values() if len({row.split for row in unit if row.split}) > 1]


def _moves(rows: Sequence[Row[Any]], wanted: Mapping[str, str | None], *, kinds: Sequence[str]) -> Moves:
    """``wanted``, with what it comes to: units touched, moves counted, and units across splits afterwards."""
    unit_of = dict(zip((row.id for row in rows), _numbers(rows, kinds), strict=True))
    after: dict[int, set[str]] = defaultdict(set)
    between: Counter[tuple[str, str]] = Counter()
    for row in rows:
        split = wanted.get(row.id, row.split)
        if split:
            after[unit_of[row.id]].add(split)
        if row.id in wanted:
            between[row.split or NONE, split or NONE] += 1
    return Moves(
        to=wanted,
        units=len({unit_of[name] for name in wanted}),
        between=between,
        left_across=sum(len(found) > 1 for found in after.values()),
    )


def _hard(conn: Connection) -> dict[str, str]:
    """The class of each sample in the current label set, empty where there is none yet."""
    found = labels.current(conn)
    if found is None:
        return {}
    return {name: found.classes[index] for name, index in zip(found.samples, found.hard.tolist(), strict=True)}
