"""Finding out what the server has: tasks that an interrupted push, or somebody else's, made for our samples.

Label Studio has no key that would refuse a second task for the same sample. So nothing whose outcome is unknown is
sent again before it was looked up, and when two pushers were at it at the same instant the twin without answers goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from emolab.catalog import remotes
from emolab.errors import ServerError
from emolab.labeling import stamps
from emolab.labeling.patience import patiently
from emolab.labeling.studio_queries import Carrier, carriers, untouched

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.remotes import Project
    from emolab.labeling.studio import Studio

#: Rough cost of asking: one lookup of 50 samples, and one row of a full listing, in milliseconds.
_LOOKUP_MS = 30.0
_LOOKUP_SIZE = 50
_ROW_MS = 0.5


@dataclass(frozen=True, slots=True)
class Link:
    """One workspace's catalog tied to one project on one server."""

    catalog: Catalog
    studio: Studio
    project: Project


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


def adopt(link: Link, found: Mapping[str, Sequence[Carrier]], *, overlap: int) -> tuple[int, int]:
    """Record the tasks that were found, one per sample, and return how many were adopted and how many twins removed.

    They may hold answers that earlier pulls passed over, so the next pull looks again: at all tasks when one of these
    changed before the last pull's moment.
    """
    kept: dict[str, int] = {}
    removed = 0
    for sample_id, tasks in found.items():
        kept[sample_id], gone = keep_one(link.studio, link.project.project, [c.task for c in tasks])
        removed += len(gone)
    cursor = stamps.moment(link.project.cursor)
    times = [stamps.moment(c.updated_at) for tasks in found.values() for c in tasks]
    old = cursor is not None and any(time is None or time <= cursor for time in times)
    with link.catalog.begin() as tx:
        remotes.adopt(tx, link.project, kept, overlap=overlap)
        remotes.rewind(tx, link.project, everything=old)
    return len(kept), removed


def keep_one(studio: Studio, project: int, tasks: Sequence[int]) -> tuple[int, list[int]]:
    """Which of several tasks for one sample stays, and which were deleted.

    The oldest with answers stays, else the oldest; only tasks without any answer or draft are deleted, so two
    machines that do this at once agree.
    """
    if len(tasks) == 1:
        return tasks[0], []
    states = {task: _state(studio, task) for task in sorted(tasks)}
    alive = [task for task, state in states.items() if state != "missing"]
    stays = next((task for task in alive if states[task] == "touched"), min(alive or tasks))
    surplus = [task for task in alive if states[task] == "empty" and task != stays]
    if surplus:
        patiently(lambda: studio.delete_tasks(project, surplus))
    return stays, surplus


def remove_twins(link: Link, *, after: int, overlap: int) -> int:
    """Resolve samples that got more than one task since task ``after``; return how many tasks were deleted.

    That happens when a second pusher was at work, or when a request came through after it was given up.
    """
    fresh = _by_sample(patiently(lambda: list(carriers(link.studio, link.project.project, after=after))))
    with link.catalog.connect() as conn:
        known = {t.sample_id: t.task for t in remotes.tasks(conn, link.project) if t.task is not None}
    twins: dict[str, list[Carrier]] = {}
    for sample_id, tasks in fresh.items():
        ids = {c.task for c in tasks}
        mine = known.get(sample_id)
        if mine is not None and len(ids | {mine}) > 1:
            extra = [] if mine in ids else [Carrier(mine, sample_id, tasks[0].updated_at)]
            twins[sample_id] = [*extra, *tasks]
    return adopt(link, twins, overlap=overlap)[1] if twins else 0


def _state(studio: Studio, task: int) -> Literal["missing", "empty", "touched"]:
    try:
        return "empty" if patiently(lambda: untouched(studio, task)) else "touched"
    except ServerError as error:
        if error.status == 404:
            return "missing"
        raise


def _by_sample(rows: Iterable[Carrier]) -> dict[str, list[Carrier]]:
    found: dict[str, list[Carrier]] = {}
    for row in rows:
        if row.uid is not None:
            found.setdefault(row.uid, []).append(row)
    return found
