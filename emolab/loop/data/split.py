"""What is trained on, chosen by and judged on: counted, set by hand, drawn, and repaired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.given import several
from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.datasets.splits.resplit import Moves
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class SplitCounts(Result):
    """Samples by split, source and class, and how many units lie ``across`` splits: near copies, and all units."""

    counts: list[dict[str, str | int]]
    across: dict[str, int]


@dataclass(frozen=True, slots=True)
class SplitChange(Result):
    """What moved, or would with a dry run, and the samples of each split ``after`` it."""

    moves: Moves
    after: Mapping[str, int]
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Counts of what moved, ready for JSON."""
        moves = self.moves
        return {
            "dry_run": self.dry_run,
            "moved": len(moves.to),
            "units": moves.units,
            "moves": moves.rows(),
            "left_across": moves.left_across,
            "splits": dict(self.after),
        }


#: Asked before anything moves; refuses by raising.
Agree = Callable[["Moves"], None]


def splits(workspace: Workspace) -> SplitCounts:
    """Count the samples of each split by source and current label; an empty workspace is no error."""
    from emolab.datasets.splits import resplit

    with workspace.catalog() as catalog, catalog.connect() as conn:
        across, groups = resplit.repair(conn), resplit.repair(conn, kinds=resplit.ALL)
        return SplitCounts(resplit.counts(conn), {"copies": across.units, "all": groups.units})


def set_split(
    workspace: Workspace,
    name: str | None,
    *,
    ids: str | Sequence[str] = (),
    sources: str | Sequence[str] = (),
    groups: str | Sequence[str] = (),
    allow_speaker_leak: bool = False,
    agree: Agree | None = None,
    dry_run: bool = False,
) -> SplitChange:
    """Put samples named by id, source or group into the split ``name``; ``None``: the next training draws one.

    Raises :class:`DataError` for a name that no sample has, and where a speaker would be on both sides, which
    ``allow_speaker_leak`` lets be.
    """
    from emolab.datasets.splits import resplit, speakers

    def wanted(conn: Connection) -> Moves:
        chosen = resplit.chosen(conn, ids=several(ids), sources=several(sources), groups=several(groups))
        moves = resplit.setting(conn, chosen, name)
        if not allow_speaker_leak:
            speakers.check_moves(workspace, conn, moves.to)
        return moves

    if allow_speaker_leak and not dry_run:
        speakers.let_be(workspace, "split set")
    return _move(workspace, "set", wanted, agree=agree, dry_run=dry_run)


def draw_splits(
    workspace: Workspace,
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    sources: str | Sequence[str] = (),
    keep_test: bool = True,
    agree: Agree | None = None,
    dry_run: bool = False,
) -> SplitChange:
    """Draw train, valid and test by ``shares`` (each 0..1), each class alike; groups and near copies stay whole.

    Raises :class:`DataError` for shares that do not add up to 1, and for a source that there is not.
    """
    from emolab.datasets.splits import resplit

    def wanted(conn: Connection) -> Moves:
        return resplit.draw(conn, shares, seed=seed, sources=several(sources), keep_test=keep_test)

    return _move(workspace, "draw", wanted, agree=agree, dry_run=dry_run)


def repair_splits(workspace: Workspace, *, groups: bool = False, dry_run: bool = False) -> SplitChange:
    """Bring near copies and faces of one photo into one split, with ``groups`` subjects and videos too.

    Where nothing lies across splits nothing moves, which is no error.
    """
    from emolab.datasets.splits import resplit

    kinds = resplit.ALL if groups else resplit.ALL[:2]
    return _move(workspace, "repair", lambda conn: resplit.repair(conn, kinds=kinds), agree=None, dry_run=dry_run)


def _move(
    workspace: Workspace, what: str, wanted: Callable[[Connection], Moves], *, agree: Agree | None, dry_run: bool
) -> SplitChange:
    from emolab.datasets.splits import resplit

    moves, after = resplit.move(workspace, what, wanted, agree=agree, dry_run=dry_run)
    return SplitChange(moves, after, dry_run)
