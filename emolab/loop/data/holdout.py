"""Samples kept away from every training, to judge which model is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.data.split import Agree
from emolab.loop.given import several
from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.datasets.splits.resplit import Moves
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class HoldoutAdded(Result):
    """What joined the holdout, or would with a dry run, and how many samples it has ``total`` after it.

    ``learned`` of them were to train on or to choose by before, so models may have seen them.
    """

    moves: Moves
    learned: int
    total: int
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Counts, ready for JSON."""
        return {
            "dry_run": self.dry_run,
            "added": len(self.moves.to),
            "units": self.moves.units,
            "moves": self.moves.rows(),
            "learned": self.learned,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class Holdout(Result):
    """The samples of the holdout by source and class of their label (``none``: they have no label yet).

    ``total`` of them; ``tied`` (ids) belong to them and are to train on, which a training refuses.
    """

    counts: list[dict[str, str | int]]
    total: int
    tied: list[str]


def holdout_add(
    workspace: Workspace,
    *,
    ids: str | Sequence[str] = (),
    sources: str | Sequence[str] = (),
    groups: str | Sequence[str] = (),
    n: int | None = None,
    settle: bool = False,
    seed: int = 0,
    agree: Agree | None = None,
    dry_run: bool = False,
) -> HoldoutAdded:
    """Keep samples away from every training for good: those named by id, source or group, or ``n`` drawn at random.

    What belongs together (a person, a video, near copies) goes together. With ``n`` only samples without a split are
    drawn, of ``sources`` where some are named. ``settle`` brings in what belongs to samples of the holdout and came in
    elsewhere. ``agree`` is called with what would move, and refuses by raising. Raises :class:`DataError` for a name
    that no sample has, and where there are too few samples to draw from.
    """
    from emolab.datasets.splits import holdout, resplit
    from emolab.errors import DataError
    from emolab.records import HOLDOUT

    if settle + (n is not None) + bool(ids or groups or (sources and n is None)) != 1:
        raise DataError("Give samples, sources or groups, or how many to draw (n), or settle: one of them.")

    def wanted(conn: Connection) -> Moves:
        if settle:
            return holdout.settling(conn)
        if n is not None:
            return holdout.drawing(conn, n, sources=several(sources), seed=seed)
        named = resplit.chosen(conn, ids=several(ids), sources=several(sources), groups=several(groups))
        return holdout.adding(conn, named)

    moves, after = resplit.move(workspace, HOLDOUT, wanted, agree=agree, dry_run=dry_run)
    total = after.get(HOLDOUT, 0) + (len(moves.to) if dry_run else 0)
    return HoldoutAdded(moves, learned(moves), total, dry_run)


def learned(moves: Moves) -> int:
    """How many of the samples that move were to train on or to choose by."""
    return sum(count for (before, _), count in moves.between.items() if before in ("train", "valid"))


def holdout_list(workspace: Workspace) -> Holdout:
    """What is in the holdout; an empty one is no error."""
    from emolab.datasets.splits import holdout, resplit
    from emolab.records import HOLDOUT

    with workspace.catalog() as catalog, catalog.connect() as conn:
        rows = [row for row in resplit.counts(conn) if row["split"] == HOLDOUT]
        return Holdout(rows, sum(int(row["samples"]) for row in rows), holdout.tied(conn))
