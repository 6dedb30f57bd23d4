"""Finding out what the server has: tasks that an interrupted push, or somebody else's, made for our samples.

Label Studio has no key that would refuse a second task for the same sample. So nothing whose outcome is unknown is
sent again before it was looked up, and several tasks for one sample are settled
(:mod:`emolab.labeling.sync.duplicate_tasks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.catalog import samples
from emolab.catalog.campaign import remotes
from emolab.labeling.answers import timestamps
from emolab.labeling.label_studio.queries import Carrier, carriers
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import duplicate_tasks

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.sync.duplicate_tasks import Place, Settled

#: Rough cost of asking: one lookup of 50 samples, and one row of a full listing, in milliseconds.
_LOOKUP_MS = 30.0
_LOOKUP_SIZE = 50
_ROW_MS = 0.5


@dataclass(frozen=True, slots=True)
class Link:
    """One workspace's catalog tied to one project on one server.

    ``secret``: the catalog's, where voices are disguised before they are sent; ``None``: files are sent as they are.
    """

    catalog: Catalog
    studio: Studio
    project: Project
    secret: bytes | None = None


def find(link: Link, sample_ids: Sequence[str], *, task_number: int) -> dict[str, list[Carrier]]:
    """The tasks that carry these samples, lowest id first; ``task_number`` helps to choose the cheaper question."""
    if not sample_ids:
        return {}
    number = link.project.project
    if len(sample_ids) / _LOOKUP_SIZE * _LOOKUP_MS > task_number * _ROW_MS:
        wanted = set(sample_ids)
        rows = patiently(lambda: list(carriers(link.studio, number)))
        return _by_sample(row for row in rows if row.uid in wanted)
    found = patiently(lambda: link.studio.lookup_tasks(number, sample_ids))
    return _by_sample(Carrier(t.id, t.uid, t.updated_at) for tasks in found.values() for t in tasks)


def adopt(link: Link, found: Mapping[str, Sequence[Carrier]], *, overlap: int) -> Settled:
    """Record the tasks that were found, one per sample, and return what became of twins.

    They may hold answers that earlier pulls passed over, so the next pull looks again: at all tasks when one of these
    changed before the last pull's moment.
    """
    number = link.project.project
    groups = {sample_id: {(number, c.task) for c in tasks} for sample_id, tasks in found.items()}
    done = duplicate_tasks.settle(link.studio, groups, overlap=overlap)
    kept = {sample_id: tasks[0].task for sample_id, tasks in found.items() if len(tasks) == 1}
    kept |= {sample_id: task for sample_id, (_, task) in done.keep.items()}
    cursor = timestamps.moment(link.project.cursor)
    times = [timestamps.moment(c.updated_at) for tasks in found.values() for c in tasks]
    old = cursor is not None and any(time is None or time <= cursor for time in times)
    with link.catalog.begin() as tx:
        remotes.adopt(tx, link.project, kept, overlap=overlap)
        remotes.rewind(tx, link.project, everything=old)
    return done


def sweep(link: Link, *, after: int, overlap: int) -> Settled:
    """Settle the samples that have more than one task, as far as tasks above ``after`` and the catalog tell.

    That happens when a second pusher was at work, or when a request was carried out again or after it was given up.
    """
    number = link.project.project
    rows = patiently(lambda: list(carriers(link.studio, number, after=after)))
    with link.catalog.connect() as conn:
        known = remotes.known_tasks(conn, link.project)
        ours = samples.keys(conn, sorted({row.uid for row in rows if row.uid is not None}))
    uids: dict[Place, str | None] = {(number, task): uid for task, uid in known.items()}
    uids |= {(number, row.task): row.uid for row in rows if row.uid in ours}
    groups = {uid: places for uid, places in duplicate_tasks.grouped(uids).items() if len(places) > 1}
    done = duplicate_tasks.settle(link.studio, groups, overlap=overlap)
    if done.removed or done.closed:
        with link.catalog.begin() as tx:
            main = {task.sample_id: task.task for task in remotes.tasks(tx, link.project)}
            moved = {uid: task for uid, (_, task) in done.keep.items() if main.get(uid) != task}
            remotes.adopt(tx, link.project, moved, overlap=overlap)
            remotes.rewind(tx, link.project, everything=False)
    return done


def _by_sample(rows: Iterable[Carrier]) -> dict[str, list[Carrier]]:
    found: dict[str, list[Carrier]] = {}
    for row in rows:
        if row.uid is not None:
            found.setdefault(row.uid, []).append(row)
    return found
