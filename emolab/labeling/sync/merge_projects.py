"""Several projects of one title: all machines move to the oldest; the others go when empty, else their votes count.

A server that carries out a request again leaves up to four projects of one title, and two machines may each make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emolab.catalog import samples
from emolab.catalog.campaign import answers, remotes
from emolab.catalog.campaign.remotes import TaskRequest
from emolab.labeling.label_studio.queries import carriers
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import duplicate_tasks, project
from emolab.labeling.sync.duplicate_tasks import Settled

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.duplicate_tasks import Place
    from emolab.labeling.sync.reconcile_tasks import Link


def settled(catalog: Catalog, studio: Studio, title: str, number: int) -> bool:
    """Whether project ``number`` is the one of its title that goes on; empty others are removed on the way."""
    kin = project.family(catalog, studio, title)
    project.remove_empty(catalog, studio, kin.surplus)
    return kin.chosen is None or kin.chosen.id == number


def move(
    catalog: Catalog, studio: Studio, chosen: RemoteProject, surplus: Sequence[RemoteProject], *, title: str
) -> set[int]:
    """Remove empty projects, and want in ``chosen`` what others still have to get answers for; which were removed.

    Projects with tasks are remembered, so that pulls read them.
    """
    removed = project.remove_empty(catalog, studio, surplus)
    with catalog.begin() as tx:
        mine = remotes.add_project(tx, server=studio.server_id, project=chosen.id, title=title)
        numbers = {remote.id for remote in surplus} - removed
        for other in remotes.projects(tx, server=studio.server_id):
            if other.project in numbers:
                _want_here(tx, mine, other)
    return removed


def settle_across(link: Link, surplus: Sequence[RemoteProject], *, overlap: int) -> Settled:
    """Settle tasks of one sample that lie in this project and in ``surplus`` ones of the same title."""
    if not surplus:
        return Settled()
    with link.catalog.connect() as conn:
        known = remotes.known_tasks(conn, link.project)
    uids: dict[Place, str | None] = {(link.project.project, task): uid for task, uid in known.items()}
    for remote in surplus:
        rows = patiently(lambda number=remote.id: list(carriers(link.studio, number)))  # type: ignore[misc]
        uids |= {(remote.id, row.task): row.uid for row in rows}
    groups = {uid: places for uid, places in duplicate_tasks.grouped(uids).items() if len(places) > 1}
    with link.catalog.connect() as conn:
        ours = samples.keys(conn, sorted(groups))
    done = duplicate_tasks.settle(link.studio, {uid: groups[uid] for uid in ours}, overlap=overlap)
    forget(link.catalog, link.studio, done.removed)
    return done


def forget(catalog: Catalog, studio: Studio, removed: set[Place]) -> None:
    """Note that these tasks are gone from their projects, where the catalog held them for their samples' own."""
    with catalog.begin() as tx:
        for mine in remotes.projects(tx, server=studio.server_id):
            gone = {task for number, task in removed if number == mine.project}
            lost = [t.sample_id for t in remotes.tasks(tx, mine, "open", "reopening") if t.task in gone] if gone else []
            remotes.set_state(tx, mine, lost, "deleted")


def _want_here(tx: Connection, mine: remotes.Project, other: remotes.Project) -> None:
    given = answers.counts(tx, other)
    rows = remotes.tasks(tx, other, "pending", "sending", "open", "reopening")
    here = {task.sample_id for task in remotes.tasks(tx, mine)}
    left = [row for row in rows if given.get(row.sample_id, 0) < row.overlap]
    moving = [row for row in left if row.sample_id not in here]
    remotes.want(tx, mine, [TaskRequest(row.sample_id, row.rank or 0, row.overlap, row.round) for row in moving])
    remotes.set_state(tx, other, [row.sample_id for row in left if row.task is None], "deleted")
