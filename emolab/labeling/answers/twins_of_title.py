"""Second tasks for one sample, in this project or another of its title, as a pull meets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emolab.catalog import samples
from emolab.catalog.campaign import remotes
from emolab.labeling.label_studio import duplicate_queries
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import duplicate_tasks, merge_projects

if TYPE_CHECKING:
    from emolab.labeling.answers.last_pull import LastPull, PullSides
    from emolab.labeling.label_studio.records import RemoteTask
    from emolab.labeling.sync.duplicate_tasks import Place, Settled


def settle(
    sides: PullSides,
    last: LastPull,
    *,
    tasks: Sequence[RemoteTask],
    there: Mapping[int, str | None] | None,
    known: Mapping[int, str],
) -> Settled:
    """Settle twins of our samples as far as these tasks, the catalog and what earlier pulls left to watch tell of them.

    Projects of the same title count as one: a sample has one task in all of them.
    """
    number, asked = sides.mine.project, sides.remote.maximum_annotations
    uids = _places(sides, last, tasks=tasks, there=there, known=known)
    groups = {uid: places for uid, places in duplicate_tasks.grouped(uids).items() if len(places) > 1}
    if there is None and last.asked == asked:  # else any of them may be open again
        fresh = {task.uid for task in tasks} | {uids.get((number, task)) for task in last.watched}
        groups = {uid: places for uid, places in groups.items() if uid in fresh}
    with sides.catalog.connect() as conn:
        ours = samples.keys(conn, sorted(groups))
    done = duplicate_tasks.settle(sides.studio, {uid: groups[uid] for uid in ours}, overlap=asked)
    merge_projects.forget(sides.catalog, sides.studio, {place for place in done.removed if place[0] != number})
    return done


def _places(
    sides: PullSides,
    last: LastPull,
    *,
    tasks: Sequence[RemoteTask],
    there: Mapping[int, str | None] | None,
    known: Mapping[int, str],
) -> dict[Place, str | None]:
    """The sample of every task in the projects of this title, as far as it is known; what was seen last counts."""
    mine, number = sides.mine, sides.mine.project
    uids: dict[Place, str | None] = {(number, task): uid for task, uid in known.items()}
    with sides.catalog.connect() as conn:
        for other in remotes.projects(conn, server=mine.server):
            if other.title == mine.title and not other.gone and other.pk != mine.pk:
                uids |= {(other.project, task): uid for task, uid in remotes.known_tasks(conn, other).items()}
    uids |= {(number, task): uid for task, uid in (there or {}).items()}
    uids |= {(number, task.id): task.uid for task in tasks}
    if last.watched:
        states = patiently(lambda: duplicate_queries.states(sides.studio, number, last.watched))
        uids |= {(number, state.task): state.uid for state in states}
    return uids
