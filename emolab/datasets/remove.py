"""Samples taken out of a workspace, and what follows from it: near copies are grouped again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from emolab.catalog import events, removal, votes
from emolab.datasets.near_copies import groups
from emolab.datasets.near_copies.thumbnails import LOOKS, Looks
from emolab.datasets.splits import resplit
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.removal import Removal
    from emolab.workspace import Workspace


class RemovedSamples(NamedTuple):
    """What went (or with a dry run would go) and stays, and how many votes were (would be) withdrawn."""

    plan: Removal
    withdrawn: int


def remove(
    workspace: Workspace,
    *,
    sources: Sequence[str] = (),
    ids: Sequence[str] = (),
    agree: Callable[[Removal], None] | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> RemovedSamples:
    """Take out the samples ``ids`` (or starts of ids), and all that came from ``sources``.

    ``agree`` is called with the plan before anything changes, and may raise. Raises
    :class:`DataError` for a source or sample that there is not.
    """

    def planned(conn: Connection) -> Removal:
        # a data set of images that were here already brought votes and no samples of its own
        resplit.chosen(conn, sources=[name for name in sources if not votes.origins(conn, f"reader:{name}:")])
        return removal.plan(conn, ids=resplit.chosen(conn, ids=ids), sources=sources)

    with workspace.lock("merge"), workspace.catalog() as catalog:
        with catalog.connect() as conn:
            found = planned(conn)
        if dry_run or not (found.samples or found.votes):
            return RemovedSamples(found, len(found.votes))
        if agree is not None:
            agree(found)
        with catalog.begin() as tx:  # planned again: somebody may have voted, or sent some, while we asked
            found = planned(tx)
            withdrawn = removal.carry_out(tx, found)
            detail = {"sources": list(sources), "samples": len(found.samples), "votes": withdrawn}
            events.record(tx, "remove", detail)
        with Looks(workspace.cache / LOOKS) as looks:
            looks.forget(found.samples)
        compared = groups.find(workspace, catalog, progress=progress)
        with catalog.begin() as tx:
            groups.mark(tx, compared)
    return RemovedSamples(found, withdrawn)
