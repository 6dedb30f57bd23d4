"""Train, valid and test without leaks: what belongs together stays together, and what is assigned stays assigned.

A *unit* is everything connected by a group (subject, video, session), a source image or a duplicate group. Units are
assigned whole: (1) a unit of which some members have a split follows them, the most held-out one when they differ;
(2) units of several samples go, largest first, to the split that lacks their labels most; (3) single samples fill
each label's quota exactly, in the order of a hash of seed and unit. Splits are stored, and stored ones are never
moved, so new samples do not move old ones; the hash makes a fresh run on the same data come out the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emolab.errors import DataError, UnknownName
from emolab.records import HOLDOUT, SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

#: Shares of the labelled samples.
SHARES: Mapping[str, float] = {"train": 0.8, "valid": 0.2}

#: Validation samples that suffice however many there are to train on; with fewer, half their share does.
ENOUGH = 200

#: When members of one unit differ, the first of these wins: nobody trains on what somebody is judged on.
HELD_OUT = (HOLDOUT, "test", "valid", "train")


@dataclass(frozen=True, slots=True)
class SplitReport:
    """``assigned`` samples per split by this run, ``total`` per split after it; ``units`` assigned as a whole;
    ``mixed`` units that had members in several splits before (published leaks), which stay as they were; ``carved``
    samples that were moved from train to valid because too little was held out."""

    assigned: Mapping[str, int]
    total: Mapping[str, int]
    units: int
    mixed: int
    carved: int = 0


def held_out(splits: Iterable[str | None]) -> str | None:
    """The most held-out of ``splits``: holdout before test before valid before train; ``None`` when there is none."""
    found = set(splits)
    return next((split for split in HELD_OUT if split in found), None)


def connect(ids: Sequence[str], *ties: Sequence[str | None]) -> NDArray[np.int64]:
    """The unit of each sample: (n,). Samples with an equal value in any of ``ties`` (n each) are in one unit.

    ``None`` ties to nothing. Units are numbered from 0 in order of their first sample.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first: list[int] = []
    second: list[int] = []
    for tie in ties:
        seen: dict[str, int] = {}
        for row, value in enumerate(tie):
            if value is not None and seen.setdefault(value, row) != row:
                first.append(seen[value])
                second.append(row)
    links = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(len(ids), len(ids)))
    component: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return component


def assign(
    units: Sequence[str],
    labels: Sequence[str | None],
    given: Sequence[str | None],
    *,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> list[str]:
    """The split of every sample: the ``given`` one, else its unit's, else one chosen by quota per label.

    ``units``, ``labels`` (``None``: no label) and ``given`` have one entry per sample. When nothing would
    be valid although two units are free, the smallest one is. Raises :class:`DataError` for impossible shares.
    """
    check(shares)
    members: dict[str, list[int]] = defaultdict(list)
    for row, unit in enumerate(units):
        members[unit].append(row)
    result: list[str | None] = list(given)
    have: dict[str, Counter[str | None]] = {split: Counter() for split in SPLITS}
    free: list[tuple[str, list[int]]] = []
    for unit, rows in members.items():
        known = held_out(given[row] for row in rows)
        if known is None:
            free.append((unit, rows))
            continue
        for row in rows:
            result[row] = split = result[row] or known
            have[split][labels[row]] += 1

    order = sorted(free, key=lambda item: (-len(item[1]), _draw(item[0], seed)))
    total = Counter(labels)
    target = {split: {label: share * total[label] for label in total} for split, share in shares.items()}
    result_of = _place([rows for _, rows in order], labels, have, target)
    if "valid" in shares and len(order) > 1 and "valid" not in (*result_of.values(), *result):
        result_of.update(dict.fromkeys(order[-1][1], "valid"))
    return [result_of.get(row) or split or "train" for row, split in enumerate(result)]


def _place(
    units: Sequence[Sequence[int]],
    labels: Sequence[str | None],
    have: Mapping[str, Counter[str | None]],
    target: Mapping[str, Mapping[str | None, float]],
) -> dict[int, str]:
    """The split of every row of ``units``, which are in order of size; ``have`` is filled on the way."""
    placed: dict[int, str] = {}
    queues: dict[str | None, list[int]] = defaultdict(list)
    for rows in units:
        if len(rows) == 1:
            queues[labels[rows[0]]].append(rows[0])
            continue
        count = Counter(labels[row] for row in rows)
        split = min(target, key=lambda name: _fullness(count, have[name], target[name]))
        have[split].update(count)
        placed.update(dict.fromkeys(rows, split))
    for label, queue in queues.items():
        rest = iter(queue)
        for split in (name for name in HELD_OUT if name in target and name != "train"):
            lacking = max(round(target[split][label] - have[split][label]), 0)
            placed.update(dict.fromkeys(islice(rest, lacking), split))
        placed.update(dict.fromkeys(rest, "train"))
    return placed


def fill(
    tx: Connection,
    labels: Mapping[str, str | None],
    *,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
    without_valid: str = "leave",
) -> SplitReport:
    """Assign and store a split for every sample of ``labels`` (id to hard label) that has none.

    Groups, source images and duplicate groups of the whole catalog are honoured, whether or not a member is in
    ``labels``. What belongs to a unit of the holdout joins it. Each source gives its own share of each label: a
    published training set does not send a team's samples to valid. When too little is valid (see :data:`ENOUGH`),
    ``without_valid`` says whether to ``leave`` it so or to ``carve`` the share out of the train samples of sources that
    have no valid ones. Running it again changes nothing.
    """
    if without_valid not in ("leave", "carve"):
        raise UnknownName("policy", without_valid, ("leave", "carve"))
    from emolab.catalog import samples

    known, mixed, joining = _look_up(tx, labels)
    samples.set_splits(tx, dict.fromkeys(joining), holdout=True)
    splits = _split(known, shares=shares, seed=seed, carve=without_valid == "carve")
    fresh = {one.id: split for one, split in zip(known, splits, strict=True) if split != one.split}
    samples.set_splits(tx, fresh)
    return SplitReport(
        assigned=Counter(fresh.values()),
        total=Counter(splits),
        units=len({one.unit for one in known if one.split is None}),
        mixed=mixed,
        carved=sum(one.split is not None and split != one.split for one, split in zip(known, splits, strict=True)),
    )


class _Placed(NamedTuple):
    """A sample with a label or a split: the name of its unit, its source, its label, and the split it has."""

    id: str
    unit: str
    source: str
    label: str | None
    split: str | None


def _look_up(conn: Connection, labels: Mapping[str, str | None]) -> tuple[list[_Placed], int, list[str]]:
    """The samples of ``labels`` and those with a split; how many units of the catalog have several splits; and the ids
    of samples without one that belong to a unit of the holdout, which are none of the first."""
    from sqlalchemy import select

    from emolab.catalog.storage import schema

    table = schema.samples.c
    rows = conn.execute(
        select(table.id, table.source, table.group, table.parent, table.representative, table.split)
        .where(schema.present)
        .order_by(table.pk)
    ).all()
    number = connect(
        [row.id for row in rows],
        [row.group for row in rows],
        [row.parent for row in rows],
        [row.representative or row.id for row in rows],
    ).tolist()
    key: dict[int, str] = {}
    seen: dict[int, set[str]] = defaultdict(set)
    for row, unit in zip(rows, number, strict=True):
        name = f"group:{row.group}" if row.group else row.representative or row.id
        key[unit] = min(name, key.get(unit, name))
        if row.split:
            seen[unit].add(row.split)
    known = [
        _Placed(row.id, key[unit], row.source, labels.get(row.id), row.split)
        for row, unit in zip(rows, number, strict=True)
        if (row.split and row.split != HOLDOUT) or (row.id in labels and HOLDOUT not in seen[unit])
    ]
    joining = [row.id for row, unit in zip(rows, number, strict=True) if not row.split and HOLDOUT in seen[unit]]
    return known, sum(len(found) > 1 for found in list(seen.values())), joining


def _split(known: Sequence[_Placed], *, shares: Mapping[str, float], seed: int, carve: bool) -> list[str]:
    """The split of every sample: each source gives its own share of each label; ``carve`` as for :func:`fill`."""
    units = [one.unit for one in known]
    given = [one.split for one in known]
    strata = [None if one.label is None else f"{one.source}\n{one.label}" for one in known]
    splits = assign(units, strata, given, shares=shares, seed=seed)
    labelled = [split for split, one in zip(splits, known, strict=True) if one.label]
    if not carve or not _too_few(labelled, shares):
        return splits
    own = {one.source for one, split in zip(known, splits, strict=True) if split == "valid"}
    opened = [None if one.split == "train" and one.label and one.source not in own else one.split for one in known]
    return assign(units, strata, opened, shares=shares, seed=seed)


def _too_few(splits: Sequence[str], shares: Mapping[str, float]) -> bool:
    """Whether the valid ones among the ``splits`` of labelled samples are too few to choose and judge models by."""
    count = Counter(splits)
    wanted = shares.get("valid", 0.0) / 2 * (count["train"] + count["valid"])
    return count["valid"] < min(ENOUGH, wanted)


def _fullness(count: Counter[str | None], have: Counter[str | None], target: Mapping[str | None, float]) -> float:
    """How full a split would be, on average over the labels of a unit, with half of the unit in it."""
    return sum(n * (have[label] + n / 2) / target[label] for label, n in count.items())


def _draw(unit: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}|{unit}".encode(), digest_size=8).digest()


def check(shares: Mapping[str, float]) -> None:
    """Raise :class:`DataError` for shares that are no shares, or that do not sum to 1."""
    if "train" not in shares or set(shares) - set(SPLITS) or any(not 0 < share < 1 for share in shares.values()):
        raise DataError(
            f"Shares {dict(shares)} do not split anything.", hint="Example: train 0.8, valid 0.2, each above 0."
        )
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise DataError(f"The shares of the splits sum to {sum(shares.values()):g}, expected 1.")
