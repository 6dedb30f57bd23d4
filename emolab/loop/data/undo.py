"""The last collect, merge or split is taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.datasets.taken_back import TakeBack
    from emolab.progress import Progress
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Undone(Result):
    """What was taken back, or would be with a dry run: ``kind`` and ``about`` of the command of ``at``.

    ``removed`` samples, ``withdrawn`` votes, votes that count ``again``, and samples whose split, group or
    representative is as before (``put_back``). ``kept`` samples by why they stay; ``models`` have learned from some.
    """

    kind: str
    about: str
    at: str
    removed: int
    withdrawn: int
    again: int
    put_back: Mapping[str, int]
    kept: Mapping[str, int]
    models: Sequence[str]
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Counts, ready for JSON."""
        return dict(vars(self))


def undo(
    workspace: Workspace,
    *,
    agree: Callable[[Undone], None] | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Undone:
    """Take the last collect, merge or split back, as far as nothing depends on it; once more goes one further back.

    ``agree`` is called with what would be taken back, and refuses by raising. Files stay in ``.emolab/media``. Raises
    :class:`DataError` where there is nothing to take back, and where all of it has something that depends on it.
    """
    from emolab.datasets import taken_back
    from emolab.errors import DataError

    with workspace.lock("collect"), workspace.lock("merge"), workspace.catalog() as catalog:
        learned: dict[str, frozenset[str]] = {}
        with catalog.connect() as conn:
            found, told = _planned(workspace, conn, learned, dry_run=dry_run)
        if dry_run:
            return told
        if agree is not None:
            agree(told)
        with catalog.begin() as tx:  # planned again: somebody may have voted, sent or trained while we asked
            agreed = found.action
            found, told = _planned(workspace, tx, learned, dry_run=False)
            if found.action != agreed:
                raise DataError(
                    f"The last {agreed.kind} is not the last command any more.", hint="See: emolab undo --dry-run"
                )
            taken_back.carry_out(tx, found)
        _settle(workspace, found, progress)
    return told


def _planned(
    workspace: Workspace, conn: Connection, learned: dict[str, frozenset[str]], *, dry_run: bool
) -> tuple[TakeBack, Undone]:
    """What would be taken back now. ``learned`` keeps what each model has learned from, which is read once.

    Raises :class:`DataError` where that is nothing.
    """
    from emolab.datasets import taken_back
    from emolab.errors import DataError

    action = taken_back.last_action(conn)
    _learned(workspace, conn, action.at, learned)
    found = taken_back.plan(conn, action, learned=frozenset().union(*learned.values()))
    models = list(learned) if taken_back.LEARNED in found.kept else []
    if found.nothing:
        why = "; ".join(f"{n:,} stay: {reason}" for reason, n in found.kept.items()) or "all of it is gone already"
        raise DataError(f"Nothing of the last {action.kind} can be taken back ({why}).", hint=_hint(models))
    return found, _told(found, models, dry_run=dry_run)


def _told(found: TakeBack, models: Sequence[str], *, dry_run: bool) -> Undone:
    return Undone(
        kind=found.action.kind,
        about=found.action.about,
        at=found.action.at,
        removed=len(found.gone),
        withdrawn=len(found.withdrawn),
        again=len(found.again),
        put_back={column: len(values) for column, values in found.columns.items() if values},
        kept=found.kept,
        models=models,
        dry_run=dry_run,
    )


def _hint(models: Sequence[str]) -> str:
    if models:
        return f"Give the model up first: emolab models retire {models[-1][:12]}"
    return "See what a sample has: emolab why SAMPLE; take samples out all the same: emolab remove"


def _learned(workspace: Workspace, conn: Connection, since: str, found: dict[str, frozenset[str]]) -> None:
    """Let ``found`` have the models made ``since`` then that are not retired, with the samples each learned from."""
    from emolab.catalog import models
    from emolab.catalog import snapshots as kept
    from emolab.catalog.registry import model_events
    from emolab.provenance import snapshots

    retired = model_events.state(conn).retired
    for model in models.list_all(conn):
        if model.created_at <= since or model.id in retired:
            found.pop(model.id, None)
            continue
        if model.id in found:
            continue
        record = kept.find(conn, model.snapshot)
        if record is not None and (folder := workspace.root / record.path).is_dir():
            found[model.id] = frozenset(snapshots.read(folder).ids)


def _settle(workspace: Workspace, found: TakeBack, progress: Progress) -> None:
    """What follows: forget how the samples look, and group near copies again where some of the new ones stay."""
    from emolab.catalog.storage.actions import REPRESENTATIVE
    from emolab.datasets.near_copies import groups
    from emolab.datasets.near_copies.thumbnails import LOOKS, Looks

    if found.gone:
        with Looks(workspace.cache / LOOKS) as looks:
            looks.forget(found.gone)
    if found.kept and found.columns[REPRESENTATIVE]:
        with workspace.catalog() as catalog:
            compared = groups.find(workspace, catalog, progress=progress)
            with catalog.begin() as tx:
                groups.mark(tx, compared)
