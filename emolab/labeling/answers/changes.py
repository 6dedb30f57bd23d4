"""Reading what changed in a project: everything at first, then only what is new, by the moments written in the data.

``updated_at`` tells of every change to an answer but not of deleted tasks; those show in the number of tasks. And it is
stamped before it is committed, so a stretch before the newest moment seen is looked at again, by a fingerprint first:
one small request says that nothing is new. No clock is asked: that of a front server may differ from the one that
writes the stamps. Where stamps fail (a clock set back, servers with several clocks) the number of answers tells of new
ones, and every so many pulls all answers are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from emolab.catalog import samples
from emolab.catalog.campaign import answers, remotes
from emolab.errors import ServerError
from emolab.labeling.answers import timestamps, twins_of_title
from emolab.labeling.answers.last_pull import BY_DATA, LastPull, PullSides, last_pull
from emolab.labeling.label_studio.queries import carriers, newest_task, window, window_of
from emolab.labeling.label_studio.records import RemoteTask
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import export_snapshots

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.duplicate_tasks import Settled
    from emolab.progress import Progress

#: Changes stamped this long before the newest one seen are looked at again: they may have been committed after it.
OVERLAP = timedelta(seconds=120)
#: Projects up to this many tasks are read page by page; a larger one by an export snapshot, which is cheaper.
PAGES_UP_TO = 300
_EVER = "1970-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Reading:
    """What a pull saw.

    ``tasks`` with all their answers; ``there``: every task of the project with its sample, when they were listed;
    ``known``: the catalog's tasks from before that; ``cursor`` and ``window`` for the next pull; ``others``: tasks on
    the server that the catalog does not know; ``settled``: what became of second tasks for one sample.
    """

    tasks: list[RemoteTask]
    there: dict[int, str | None] | None
    known: Mapping[int, str]
    cursor: str | None
    window: Mapping[str, Any]
    others: int
    settled: Settled


@dataclass(frozen=True)
class _Answered:
    """``tasks`` with new answers ``since`` a moment (``None``: all tasks), up to the moment ``newest``."""

    tasks: list[RemoteTask]
    since: str | None
    newest: str
    seen: object
    unlisted: int


def read(
    catalog: Catalog,
    studio: Studio,
    mine: Project,
    remote: RemoteProject,
    classes: Sequence[str],
    *,
    everything: bool,
    progress: Progress,
) -> Reading:
    """What changed in a project since the last pull; every task when there was none, or with ``everything``.

    ``remote`` must have been asked for just now: its numbers tell whether something was missed. Other ``classes`` than
    at the last pull make every answer be read again, because they may mean something else now.
    """
    sides = PullSides(catalog, studio, mine, remote, progress)
    export_snapshots.clear(catalog, studio, mine)
    last = last_pull(mine, classes, everything=everything)
    with catalog.connect() as conn:
        known = remotes.known_tasks(conn, mine)
    answered = _answered(sides, last)
    tasks, seen = answered.tasks, answered.seen
    cursor = _cursor(answered.since, answered.newest)
    newest = patiently(lambda: newest_task(studio, remote.id))
    there = _listed(sides, last, answered, known, newest)
    if there is not None:
        tasks += _strangers(catalog, studio, mine, there, known.keys() | {task.id for task in tasks})
    settled = twins_of_title.settle(sides, last, tasks=tasks, there=there, known=known)
    mine_gone = {task for number, task in settled.removed if number == mine.project}
    tasks = [task for task in tasks if task.id not in mine_gone]
    if there is not None:
        there = {task: uid for task, uid in there.items() if task not in mine_gone}
    if seen is None and cursor is not None:
        seen = window_of(tasks, cursor).to_dict()
    tasks += _siblings(catalog, studio, mine, tasks)
    tasks += [RemoteTask(id=task, uid=known[task]) for task in sorted(mine_gone & known.keys())]  # without answers now
    watched = sorted(task for number, task in settled.watched if number == mine.project)
    state = {
        "clock": BY_DATA, "classes": last.stamp, "seen": seen, "unlisted": answered.unlisted,
        "newest": max([newest, *(task.id for task in tasks)]), "watched": watched, "asked": remote.maximum_annotations,
    }  # fmt: skip
    return Reading(tasks, there, known, cursor, state, last.others, settled)


def _answered(sides: PullSides, last: LastPull) -> _Answered:
    """Read the tasks that changed; all of them where stamps or numbers say that something would be missed."""
    since, seen, unlisted = last.since, last.seen, last.unlisted
    tasks: list[RemoteTask] = []
    # Before reading: what comes later is newer.
    now = patiently(lambda: window(sides.studio, sides.remote.id, since or _EVER))
    if since is not None and now.to_dict() != seen:
        tasks, seen = _changed(sides.studio, sides.remote.id, since, sides.progress), None
    if since is None or (_missing(sides, tasks) > unlisted and not last.others):
        since, seen = None, None
        tasks = _everything(sides)
        unlisted = _missing(sides, tasks)
    return _Answered(tasks, since, now.newest, seen, unlisted)


def _listed(
    sides: PullSides, last: LastPull, answered: _Answered, known: Mapping[int, str], newest: int
) -> dict[int, str | None] | None:
    """Every task of the project with its sample, where all were read or some must be new or gone; else ``None``."""
    if answered.since is None:
        return {task.id: task.uid for task in answered.tasks}
    here = known.keys() | {task.id for task in answered.tasks}
    if newest <= max([last.newest, *here]) and sides.remote.task_number == len(here) + last.others:
        return None
    return {c.task: c.uid for c in patiently(lambda: list(carriers(sides.studio, sides.remote.id)))}


def _cursor(since: str | None, newest: str) -> str | None:
    """From where the next pull looks: a stretch before the newest moment seen; ``None``: at everything again."""
    end, start = timestamps.moment(newest), timestamps.moment(since)
    if end is None:
        return since
    return timestamps.written(end - OVERLAP if start is None else max(end - OVERLAP, start))


def _missing(sides: PullSides, tasks: Sequence[RemoteTask]) -> int:
    """How many answers the project counts that neither the ledger nor these tasks show; never below 0.

    More than at the last full reading means that their moments lie before the cursor: a clock was set back, or one of
    several servers is behind. Answers about samples of others are not in the ledger, so there this says nothing.
    """
    read = {task.id for task in tasks}
    with sides.catalog.connect() as conn:
        unread = sum(number for task, number in answers.by_task(conn, sides.mine).items() if task not in read)
    counted = sides.remote.annotation_number + sides.remote.skipped_number
    return max(0, counted - unread - sum(len(task.annotations) for task in tasks))


def _everything(sides: PullSides) -> list[RemoteTask]:
    if sides.remote.task_number <= PAGES_UP_TO:
        return _changed(sides.studio, sides.remote.id, None, sides.progress)
    with sides.progress.task("Reading a snapshot of the project", unit="tasks"):
        return export_snapshots.snapshot(sides.catalog, sides.studio, sides.mine, sides.progress)


def _changed(studio: Studio, number: int, since: str | None, progress: Progress) -> list[RemoteTask]:
    def attempt() -> list[RemoteTask]:
        found: list[RemoteTask] = []
        for page in studio.changed_tasks(number, since):
            found += page
            bar.advance(len(page))
        return found

    with progress.task("Reading answers", unit="tasks") as bar:
        return patiently(attempt, progress=progress)


def _strangers(
    catalog: Catalog, studio: Studio, mine: Project, there: Mapping[int, str | None], seen: set[int]
) -> list[RemoteTask]:
    """Tasks of our samples that the catalog does not know yet, because another machine made them."""
    unknown = {task: uid for task, uid in there.items() if uid is not None and task not in seen}
    with catalog.connect() as conn:
        ours = samples.keys(conn, sorted(set(unknown.values())))
    wanted = sorted(ours)
    found = patiently(lambda: studio.lookup_tasks(mine.project, wanted)) if wanted else {}
    return [task for group in found.values() for task in group if task.id in unknown]


def _siblings(catalog: Catalog, studio: Studio, mine: Project, tasks: Sequence[RemoteTask]) -> list[RemoteTask]:
    """Further tasks with answers about the same samples: of several answers by one person only the last one counts."""
    seen = {task.id for task in tasks}
    with catalog.connect() as conn:
        uids = sorted({task.uid for task in tasks if task.uid is not None})
        others = {a.task: a.sample_id for a in answers.find(conn, mine, by_sample=uids) if a.task not in seen}
    return [_task(studio, number, sample_id) for number, sample_id in sorted(others.items())]


def _task(studio: Studio, number: int, sample_id: str) -> RemoteTask:
    try:
        return patiently(lambda: studio.task(number))
    except ServerError as error:
        if error.status != 404:
            raise
    return RemoteTask(id=number, uid=sample_id)
