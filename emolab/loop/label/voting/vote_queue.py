"""Which faces a person may answer next: the open tasks in emolab's order, fewer votes than asked, none twice.

Read from the catalog alone, so that people can go on while Label Studio is away. What is on somebody's screen counts as
a vote that is about to come, for a few minutes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project, ProjectTask
    from emolab.records import FormGuess

#: Seconds that a face stays reserved for a screen that nobody has heard of.
LEASE = 240.0
#: Seconds after which the catalog is read again; longer where that takes long.
FRESH, _TIMES = 2.0, 20.0


@dataclass
class QueueState:
    """What was read at once: ``given`` answers by sample, ``answered`` samples by annotator and by person here.

    ``samples`` are those of ``tasks``, ``coming`` the answers in the app that no pull has seen yet, ``users`` the
    annotators behind the server's users.
    """

    project: Project | None
    tasks: list[ProjectTask] = field(default_factory=list)
    samples: frozenset[str] = frozenset()
    given: Counter[str] = field(default_factory=Counter)
    answered: dict[str, set[str]] = field(default_factory=dict)
    answered_here: dict[str, set[str]] = field(default_factory=dict)
    coming: Counter[str] = field(default_factory=Counter)
    guesses: dict[str, FormGuess] = field(default_factory=dict)
    users: dict[int, str] = field(default_factory=dict)


class VoteQueue:
    """The queue of one workspace's project; not for several threads at once."""

    def __init__(self, catalog: Catalog, title: str, *, consent_required: bool = False) -> None:
        self.catalog, self.title, self._consent_required = catalog, title, consent_required
        self._state = QueueState(None)
        self._until = 0.0
        self._leases: dict[str, dict[str, float]] = {}

    @property
    def state(self) -> QueueState:
        """What the catalog said a moment ago."""
        began = time.monotonic()
        if began >= self._until:
            with self.catalog.connect() as conn:
                self._state = read(conn, self.title, consent_required=self._consent_required)
            took = time.monotonic() - began
            self._until = time.monotonic() + max(FRESH, _TIMES * took)
        return self._state

    def forget(self) -> None:
        """Read the catalog again at the next question."""
        self._until = 0.0

    def open_for(self, person: str, user: int | None) -> Iterator[ProjectTask]:
        """The tasks that ``person`` (``user`` at the server) may answer, in order, screens of others left out."""
        state = self.state
        done = state.answered_here.get(person, set()) | state.answered.get(state.users.get(user or 0, ""), set())
        now = time.monotonic()
        for task in state.tasks:
            sample = task.sample_id
            if sample in done:
                continue
            held = self._leases.get(sample)
            screens = 0 if held is None else sum(end > now for who, end in held.items() if who != person)
            if state.given[sample] + state.coming[sample] + screens < task.overlap:
                yield task

    def hold(self, person: str, samples: Collection[str]) -> None:
        """Reserve ``samples`` for the screen of ``person``; what else that person held is free again."""
        end = time.monotonic() + LEASE
        for sample, held in list(self._leases.items()):
            if sample not in samples and held.pop(person, None) is not None and not held:
                del self._leases[sample]
        for sample in samples:
            self._leases.setdefault(sample, {})[person] = end

    def answered(self, person: str, sample: str, *, counts: bool) -> None:
        """Keep what is known in step with an answer that was just stored; ``counts``: it is no skip."""
        self._state.answered_here.setdefault(person, set()).add(sample)
        self._state.coming[sample] += counts


def read(conn: Connection, title: str, *, consent_required: bool = False) -> QueueState:
    """The newest project of this ``title`` as the catalog has it, without tasks about samples that lack consent."""
    from emolab.catalog.campaign import answers, app_answers, guesses, remotes
    from emolab.catalog.privacy import consents
    from emolab.records import SKIPPED

    project = next((p for p in reversed(remotes.projects(conn)) if p.title == title and not p.gone), None)
    if project is None:
        return QueueState(None)
    may = consents.allowed(conn, "label", required=consent_required)
    there = [task for task in remotes.tasks(conn, project, "open", "reopening") if task.task is not None]
    tasks = [task for task in there if task.sample_id not in may.barred]
    state = QueueState(
        project,
        tasks=tasks,
        samples=frozenset(task.sample_id for task in tasks),
        given=Counter(answers.counts(conn, project, besides=SKIPPED)),
        answered=answers.answered_by(conn, project),
        guesses=guesses.standing(conn, project),
        users=answers.people(conn, project.server),
    )
    here = app_answers.of_project(conn, project)
    known = answers.known(conn, project, [one.annotation for one in here if one.annotation is not None])
    for one in here:
        state.answered_here.setdefault(one.person, set()).add(one.sample_id)
        if not one.skipped and one.annotation not in known:
            state.coming[one.sample_id] += 1
    return state
