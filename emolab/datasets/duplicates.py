"""Groups of near-identical images, found by their 64-bit perceptual hash; exact copies are one sample already.

Two images belong together when their hashes differ in at most ``radius`` bits, and so do the friends of friends. The
search is exact and never compares all pairs: cut 64 bits into ``radius + c`` bands and at least ``c`` of them are equal
in any pair within the radius (pigeonhole; multi-index hashing, Norouzi et al. 2012), so sorting by each choice of ``c``
bands brings every such pair together.

The default radius is 4. Measured on the 27,252 distinct hashes of FER+ train (48x48 faces that all look into the
camera: the hard case; distances are even because every hash has 32 bits set), with the share of pairs whose pixels
agree (correlation above 0.9 for some shift of up to 2 pixels):

=========  =======  ==========  ===================================================================
distance   pairs    pixels      different people, by eye
=========  =======  ==========  ===================================================================
2              232        96 %
4              473        90 %  3 to 5 of the 43 whose pixels disagree, none of 64 others at random
6              690        71 %  10 of 48 at random
8            1,579        26 %  31 of 48 at random
10           7,032         4 %
=========  =======  ==========  ===================================================================

At radius 4 that is 518 groups, 690 surplus images and a largest group of 13 (one photo in 13 crops); at radius 8
chains of look-alikes join 387 different faces into one group.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, RowMapping

#: Bits that may differ. See the figures above before raising it.
RADIUS = 4

#: An image with less contrast than this (standard deviation of grey, 0..1) has no structure to compare.
FLAT = 0.02


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """``groups`` of near-identical samples, ``surplus`` samples hidden behind the representative of their group.

    ``compared`` samples had a usable hash, ``skipped`` none (flat images, no hash); ``largest`` is the largest group;
    ``changed`` samples got another representative than before; ``split`` groups have members in several splits.
    """

    groups: int
    surplus: int
    largest: int
    compared: int
    skipped: int
    changed: int
    split: int
    radius: int


def near_pairs(hashes: NDArray[np.uint64], radius: int = RADIUS) -> NDArray[np.int64]:
    """Every pair of rows of ``hashes`` that differ in at most ``radius`` bits: (m, 2), each once, smaller row first.

    ``hashes`` must be distinct values; raises :class:`ValueError` for a radius outside 0..31.
    """
    if not 0 <= radius < 32:
        raise ValueError(f"radius {radius} is not between 0 and 31")
    if radius == 0 or len(hashes) < 2:
        return np.empty((0, 2), dtype=np.int64)
    common = _common_bands(len(hashes), radius)
    masks = _band_masks(radius + common)
    found: list[NDArray[np.int64]] = [np.empty((0, 2), dtype=np.int64)]
    for chosen in combinations(masks, common):
        mask = np.bitwise_or.reduce(np.array(chosen, dtype=np.uint64))
        for first, second in _same_key(hashes & mask):
            near = np.bitwise_count(hashes[first] ^ hashes[second]) <= radius
            found.append(np.stack([first[near], second[near]], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    code = np.unique(pairs[:, 0] * len(hashes) + pairs[:, 1])
    return np.stack(np.divmod(code, len(hashes)), axis=1)


def groups(hashes: NDArray[np.uint64], *, radius: int = RADIUS) -> NDArray[np.int64]:
    """The number of the group each row belongs to: (n,); steps of ``radius`` bits connect its rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct, which = np.unique(hashes, return_inverse=True)
    pairs = near_pairs(distinct, radius)
    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(len(distinct),) * 2)
    component: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return component[which]


def usable(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes say something: (n,).

    By construction half of the bits of a real picture are set; ties, as in a flat one, leave few or almost all.
    """
    ones = np.bitwise_count(hashes)
    return (ones >= 24) & (ones <= 40)


def mark(tx: Connection, *, radius: int = RADIUS) -> DuplicateReport:
    """Find near-duplicates among all samples of the catalog and set the representative of every group.

    The representative is the sample people voted on most, then the one that stands for the group already, the larger,
    the sharper, the one with the smaller id. Running it again on the same samples changes nothing.
    """
    from emolab.catalog import samples

    keys, hashes, total = _hashes(tx)
    members = _members(groups(hashes, radius=radius))
    details = _details(tx, [int(keys[i]) for rows in members for i in rows])
    wanted: dict[str, str | None] = {}
    split = 0
    for rows in members:
        together = [details[int(keys[i])] for i in rows]
        best = _best(together)
        wanted.update({row["id"]: best for row in together})
        split += len({row["split"] for row in together if row["split"]}) > 1
    before = {row["id"]: row["representative"] for row in details.values()} | _standing(tx)
    changes = {name: wanted.get(name) for name, old in before.items() if old != wanted.get(name)}
    samples.set_representatives(tx, changes)
    sizes = [len(rows) for rows in members]
    return DuplicateReport(
        groups=len(sizes),
        surplus=sum(sizes) - len(sizes),
        largest=max(sizes, default=1),
        compared=len(keys),
        skipped=total - len(keys),
        changed=len(changes),
        split=split,
        radius=radius,
    )


def _hashes(conn: Connection) -> tuple[NDArray[np.int64], NDArray[np.uint64], int]:
    """Keys and hashes of the samples that can be compared, and how many samples there are in all."""
    from sqlalchemy import select

    from emolab.catalog import samples, schema

    table = schema.samples.c
    query = select(table.pk, table.phash, table.quality["contrast"].as_float()).where(table.phash.is_not(None))
    keys, hashes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
    for rows in conn.execution_options(yield_per=50_000).execute(query.order_by(table.pk)).partitions():
        pk, phash, contrast = zip(*rows, strict=True)
        found = np.array(phash, dtype=np.int64).view(np.uint64)
        flat = np.array([value is not None and value < FLAT for value in contrast], dtype=bool)
        keep = usable(found) & ~flat
        keys.append(np.array(pk, dtype=np.int64)[keep])
        hashes.append(found[keep])
    return np.concatenate(keys), np.concatenate(hashes), samples.count(conn)


def _details(conn: Connection, keys: Sequence[int]) -> dict[int, RowMapping]:
    """What the choice of a representative looks at, by key."""
    from sqlalchemy import select

    from emolab.catalog import schema

    table = schema.samples.c
    columns = (table.pk, table.id, table.quality, table.width, table.height, table.n_votes, table.representative)
    found: dict[int, RowMapping] = {}
    for start in range(0, len(keys), 500):
        query = select(*columns, table.split).where(table.pk.in_(keys[start : start + 500]))
        found.update((row["pk"], row) for row in conn.execute(query).mappings())
    return found


def _standing(conn: Connection) -> dict[str, str | None]:
    """Every sample that has a representative now, with its id."""
    from sqlalchemy import select

    from emolab.catalog import schema

    table = schema.samples.c
    return {
        name: old
        for name, old in conn.execute(select(table.id, table.representative).where(table.representative.is_not(None)))
    }


def _best(together: Sequence[RowMapping]) -> str:
    """The id of the sample that stands for the others."""
    standing = {row["representative"] for row in together}
    best = min(
        together,
        key=lambda row: (
            -row["n_votes"],
            row["id"] not in standing,
            -(row["width"] or 0) * (row["height"] or 0),
            (row["quality"] or {}).get("blur", 1.0),
            row["id"],
        ),
    )
    return str(best["id"])


def _members(number: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of every group of two or more."""
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order])) + 1
    return [part for part in np.split(order, starts) if len(part) > 1]


def _common_bands(n: int, radius: int) -> int:
    """How many bands must be equal: enough bits that a key is shared by about one row of ``n``, at most three."""
    wanted = np.log2(max(n, 2))
    return next((c for c in (1, 2, 3) if 64 * c / (radius + c) >= wanted), 3)


def _band_masks(count: int) -> list[int]:
    edges = [round(i * 64 / count) for i in range(count + 1)]
    return [((1 << (b - a)) - 1) << a for a, b in pairwise(edges)]


def _same_key(keys: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Row pairs with equal keys, in blocks: neighbours in sorted order, then next but one, and so on."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    at: NDArray[np.int64] = np.arange(len(keys) - 1)
    step = 1
    while len(at):
        at = at[at + step < len(keys)]
        at = at[ordered[at] == ordered[at + step]]
        if len(at):
            yield order[at], order[at + step]
        step += 1
