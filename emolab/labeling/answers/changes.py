"""Reading what changed in a project: everything at first, then only what is new, by the moments written in the data.

``updated_at`` tells of every change to an answer but not of deleted tasks; those show in the number of tasks. And it is
stamped before it is committed, so a stretch before the newest moment seen is looked at again, by a fingerprint first:
one small request says that nothing is new. No clock is asked: that of a front server may differ from the one that
writes the stamps. Where stamps fail (a clock set back, servers with several clocks) the number of answers tells of new
ones, and every so many pulls all answers are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from emolab.catalog import samples
from emolab.catalog.campaign import answers, remotes
from emolab.errors import ServerError
from emolab.labeling.answers import timestamps
from emolab.labeling.label_studio import duplicate_queries
from emolab.labeling.label_studio.queries import carriers, newest_task, window, window_of
from emolab.labeling.label_studio.records import RemoteTask
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import duplicate_tasks, export_snapshots, merge_projects

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.duplicate_tasks import Place, Settled
    from emolab.progress import Progress

#: Changes stamped this long before the newest one seen are looked at again: they may have been committed after it.
OVERLAP = timedelta(seconds=120)
#: Every so many pulls all answers are read and compared, to see what stamps and numbers did not tell.
RECONCILE_EVERY = 50
#: Projects up to this many tasks are read page by page; a larger one by an export snapshot, which is cheaper.
PAGES_UP_TO = 300
#: Marks cursors made of the data's own moments; older catalogs hold some from another clock, perhaps in the future.
_BY_DATA = "data"
_EVER = "1970-01-01T00:00:00.000000Z"
#: Changed whenever answers are understood in another way than before: the next pull reads all of them again.
_RULES = "3: the team's own stars"


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
    export_snapshots.clear(catalog, studio, mine)
    before = mine.window or {}
    others = int(before.get("others", 0))
    stamp = hashlib.sha256("\n".join((*classes, _RULES)).encode()).hexdigest()[:12]
    since = mine.cursor if before.get("clock") == _BY_DATA and before.get("classes") == stamp else None
    if everything or before.get("held") or (mine.pulls + 1) % RECONCILE_EVERY == 0:
        since = None
    with catalog.connect() as conn:
        known = remotes.known_tasks(conn, mine)
    seen = before.get("seen")
    tasks: list[RemoteTask] = []
    now = patiently(lambda: window(studio, remote.id, since or _EVER))  # before reading: what comes later is newer
    if since is not None and now.to_dict() != seen:
        tasks = _changed(studio, remote.id, since, progress)
        seen = None
    unlisted = int(before.get("unlisted", 0))
    if since is not None and _missing(catalog, mine, remote, tasks) > unlisted and not others:
        since = None
    if since is None:
        tasks = _everything(catalog, studio, mine, remote, progress)
        seen, unlisted = None, _missing(catalog, mine, remote, tasks)
    cursor = _cursor(since, now.newest)
    newest = patiently(lambda: newest_task(studio, remote.id))
    there: dict[int, str | None] | None = None
    if since is None:
        there = {task.id: task.uid for task in tasks}
    elif newest > max([int(before.get("newest", 0)), *known, *(task.id for task in tasks)]) or (
        remote.task_number != len(known.keys() | {task.id for task in tasks}) + others
    ):
        there = {c.task: c.uid for c in patiently(lambda: list(carriers(studio, remote.id)))}
        tasks += _strangers(catalog, studio, mine, there, known.keys() | {task.id for task in tasks})
    settled = _settle(catalog, studio, mine, remote, tasks=tasks, there=there, known=known)
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
        "clock": _BY_DATA, "classes": stamp, "seen": seen, "unlisted": unlisted,
        "newest": max([newest, *(task.id for task in tasks)]), "watched": watched, "asked": remote.maximum_annotations,
    }  # fmt: skip
    return Reading(tasks, there, known, cursor, state, others, settled)


def _cursor(since: str | None, newest: str) -> str | None:
    """From where the next pull looks: a stretch before the newest moment seen; ``None``: at everything again."""
    end, start = timestamps.moment(newest), timestamps.moment(since)
    if end is None:
        return since
    return timestamps.written(end - OVERLAP if start is None else max(end - OVERLAP, start))


def _missing(catalog: Catalog, mine: Project, remote: RemoteProject, tasks: Sequence[RemoteTask]) -> int:
    """How many answers the project counts that neither the ledger nor these tasks show; never below 0.

    More than at the last full reading means that their moments lie before the cursor: a clock was set back, or one of
    several servers is behind. Answers about samples of others are not in the ledger, so there this says nothing.
    """
    read = {task.id for task in tasks}
    with catalog.connect() as conn:
        unread = sum(number for task, number in answers.by_task(conn, mine).items() if task not in read)
    counted = remote.annotation_number + remote.skipped_number
    return max(0, counted - unread - sum(len(task.annotations) for task in tasks))


def _settle(
    catalog: Catalog,
    studio: Studio,
    mine: Project,
    remote: RemoteProject,
    *,
    tasks: Sequence[RemoteTask],
    there: Mapping[int, str | None] | None,
    known: Mapping[int, str],
) -> Settled:
    """Settle twins of our samples as far as these tasks, the catalog and what earlier pulls left to watch tell of them.

    Projects of the same title count as one: a sample has one task in all of them.
    """
    before = mine.window or {}
    number = mine.project
    uids: dict[Place, str | None] = {(number, task): uid for task, uid in known.items()}
    with catalog.connect() as conn:
        for other in remotes.projects(conn, server=mine.server):
            if other.title == mine.title and not other.gone and other.pk != mine.pk:
                uids |= {(other.project, task): uid for task, uid in remotes.known_tasks(conn, other).items()}
    uids |= {(number, task): uid for task, uid in (there or {}).items()}
    uids |= {(number, task.id): task.uid for task in tasks}
    watched = [int(task) for task in before.get("watched", [])]
    if watched:
        states = patiently(lambda: duplicate_queries.states(studio, number, watched))
        uids |= {(number, state.task): state.uid for state in states}
    groups = {uid: places for uid, places in duplicate_tasks.grouped(uids).items() if len(places) > 1}
    if there is None and before.get("asked") == remote.maximum_annotations:  # else any of them may be open again
        fresh = {task.uid for task in tasks} | {uids.get((number, task)) for task in watched}
        groups = {uid: places for uid, places in groups.items() if uid in fresh}
    with catalog.connect() as conn:
        ours = samples.keys(conn, sorted(groups))
    done = duplicate_tasks.settle(studio, {uid: groups[uid] for uid in ours}, overlap=remote.maximum_annotations)
    merge_projects.forget(catalog, studio, {place for place in done.removed if place[0] != number})
    return done


def _everything(
    catalog: Catalog, studio: Studio, mine: Project, remote: RemoteProject, progress: Progress
) -> list[RemoteTask]:
    if remote.task_number <= PAGES_UP_TO:
        return _changed(studio, remote.id, None, progress)
    with progress.task("Reading a snapshot of the project", unit="tasks"):
        return export_snapshots.snapshot(catalog, studio, mine, progress)


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
