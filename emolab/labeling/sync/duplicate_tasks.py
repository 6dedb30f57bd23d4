"""Several tasks for one sample: one goes on, the empty ones are removed, the answered ones leave the queue.

Label Studio may carry out a request again, minutes later, and has no key that would refuse a second task for a sample.
Which task goes on is decided from what the server shows, so two machines that do this at once agree: one that is not
closed as a twin already, in the oldest project, with answers, with a draft or skip, the oldest.

A task is deleted only when nobody has answered, skipped or begun it: that is looked up right before, and the server is
told to delete only what has no answer. Somebody who has opened it and pressed nothing yet is told by Label Studio that
it is gone, and gets the sample from the other task.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.labeling.label_studio import duplicate_queries
from emolab.labeling.label_studio.duplicate_queries import State
from emolab.labeling.label_studio.retry import patiently

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio

_ROUNDS = 4  # looks until nothing changes any more: an answer may come between a look and a deletion

#: A task by the number of its project and its own.
Place = tuple[int, int]


@dataclass
class Settled:
    """What became of twins: tasks ``removed`` and ``closed`` now, those that ``keep`` their samples.

    ``watched``: closed ones without an answer yet (a draft, a skip), which have to be looked at again.
    """

    removed: set[Place] = field(default_factory=set)
    closed: set[Place] = field(default_factory=set)
    watched: set[Place] = field(default_factory=set)
    keep: dict[str, Place] = field(default_factory=dict)

    def add(self, other: Settled) -> None:
        """Take in what another look did."""
        self.removed |= other.removed
        self.closed |= other.closed
        self.watched |= other.watched
        self.keep |= other.keep


def settle(studio: Studio, groups: Mapping[str, Iterable[Place]], *, overlap: int) -> Settled:
    """Leave one task in the queue for every sample of ``groups`` (its tasks); ``overlap``: people asked per sample."""
    done = Settled()
    todo = {uid: set(places) for uid, places in groups.items() if len(set(places)) > 1}
    for _ in range(_ROUNDS):
        if not todo:
            break
        seen = _look(studio, todo)
        done.removed -= seen.keys()  # answered at the last moment, so the server kept it
        doomed: dict[int, list[State]] = defaultdict(list)
        again: dict[str, set[Place]] = {}
        for uid, places in todo.items():
            group = sorted((seen[place] for place in places if place in seen), key=_rank)
            if not group:
                continue
            first, *rest = group
            done.keep[uid] = (first.project, first.task)
            if first.marked:
                patiently(lambda first=first: duplicate_queries.restore(studio, first, overlap))  # type: ignore[misc]
            for state in rest:
                place = (state.project, state.task)
                if not state.touched:
                    doomed[state.project].append(state)
                    again[uid] = {(s.project, s.task) for s in group}
                elif not state.closed:
                    keeper = first.task
                    patiently(lambda state=state, keeper=keeper: duplicate_queries.close(studio, state, keeper))  # type: ignore[misc]
                    done.closed.add(place)
                if state.touched and not state.people:
                    done.watched.add(place)
        for project, tasks in doomed.items():
            patiently(lambda p=project, t=tasks: duplicate_queries.delete_untouched(studio, p, t))  # type: ignore[misc]
            done.removed |= {(project, state.task) for state in tasks}
        todo = again
    if todo:
        done.removed -= _look(studio, todo).keys()
    return done


def grouped(uids: Mapping[Place, str | None]) -> dict[str, set[Place]]:
    """Tasks by the sample they carry."""
    found: dict[str, set[Place]] = defaultdict(set)
    for place, uid in uids.items():
        if uid is not None:
            found[uid].add(place)
    return dict(found)


def _look(studio: Studio, groups: Mapping[str, set[Place]]) -> dict[Place, State]:
    """The tasks of all groups as they are now; one that does not carry its sample (any more) is left out."""
    wanted: dict[int, dict[int, str]] = defaultdict(dict)
    for uid, places in groups.items():
        for project, task in places:
            wanted[project][task] = uid
    found: dict[Place, State] = {}
    for project, tasks in wanted.items():
        for state in patiently(lambda p=project, t=tasks: duplicate_queries.states(studio, p, sorted(t))):  # type: ignore[misc]
            if state.uid == tasks.get(state.task):
                found[project, state.task] = state
    return found


def _rank(state: State) -> tuple[bool, int, int, int]:
    """What makes a task the one that goes on, the best first (see above)."""
    return state.marked, state.project, 0 if state.people else 1 if state.touched else 2, state.task
