"""The holdout: samples that no model is trained on, chosen by or tuned on, so that they can say which one to use.

It is a split of its own, ``holdout``, which no other command gives or takes away. A *unit* (a person, a video, a photo,
a group of near copies: :mod:`emolab.datasets.splits.assign`) is in it as a whole, and what comes in later and belongs
to such a unit joins it. Where somebody's data set says that such a sample is one to train on, trainings are refused
until it is settled: a holdout tells the truth only about what no model has seen.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emolab.datasets.splits import resplit
from emolab.errors import DataError
from emolab.records import HOLDOUT
from emolab.words import many, short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.datasets.splits.resplit import Moves


def adding(conn: Connection, ids: Sequence[str]) -> Moves:
    """What moves when the units of samples ``ids`` become a part of the holdout."""
    units = resplit.units_of(conn)
    wanted = {units.number[name] for name in ids}
    moves = {row.id: HOLDOUT for row in units.rows if units.number[row.id] in wanted and row.split != HOLDOUT}
    return resplit.as_moves(units, moves)


def drawing(conn: Connection, n: int, *, sources: Sequence[str] = (), seed: int = 0) -> Moves:
    """What moves when ``n`` samples or a few more, whole units, drawn at random become a part of the holdout.

    Only units count that nobody has trained on or chosen by: none of their members has a split. Of ``sources`` alone
    where some are named. Raises :class:`DataError` where there are fewer such samples.
    """
    units = resplit.units_of(conn)
    given = set(resplit.chosen(conn, sources=sources)) if sources else None
    members: dict[int, list[str]] = defaultdict(list)
    taken: set[int] = set()
    for row in units.rows:
        members[units.number[row.id]].append(row.id)
        if row.split is not None or (given is not None and row.id not in given):
            taken.add(units.number[row.id])
    free = [ids for unit, ids in members.items() if unit not in taken]
    left = sum(map(len, free))
    if left < n:
        raise DataError(
            f"Only {many(left, 'sample')} could be drawn, {n:,} were asked for: the others have a split, so models may "
            "have learned them.",
            hint="Collect new ones, or name samples to move all the same: emolab holdout add --group NAME",
        )
    order = sorted(free, key=lambda ids: hashlib.blake2b(f"{seed}|{min(ids)}".encode(), digest_size=8).digest())
    moves: dict[str, str] = {}
    for ids in order:
        if len(moves) >= n:
            break
        moves.update(dict.fromkeys(ids, HOLDOUT))
    return resplit.as_moves(units, moves)


def settling(conn: Connection) -> Moves:
    """What moves when everything that belongs to a unit of the holdout becomes a part of it."""
    units = resplit.units_of(conn)
    return resplit.as_moves(
        units,
        {row.id: HOLDOUT for row in units.rows if units.number[row.id] in units.reserved and row.split != HOLDOUT},
    )


def tied(conn: Connection) -> list[str]:
    """The ids of samples to train on or to choose by that belong to a unit of the holdout."""
    units = resplit.units_of(conn)
    return [row.id for row in units.rows if units.number[row.id] in units.reserved and row.split in ("train", "valid")]


def check_to_train(conn: Connection) -> None:
    """Raise :class:`DataError` where samples to train on or to choose by belong to units of the holdout."""
    found = tied(conn)
    if found:
        some = ", ".join(map(short, found[:3])) + (", ..." if len(found) > 3 else "")
        verb = "is" if len(found) == 1 else "are"
        raise DataError(
            f"{many(len(found), 'sample')} to train on {verb} near copies of holdout samples, or of the same person, "
            f"photo or video: {some}. A holdout judges models on what none of them has seen.",
            hint="Bring them into the holdout: emolab holdout add --settle",
        )
