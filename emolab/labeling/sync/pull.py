"""Bringing the team's answers back as votes: only what changed, each answer once, whatever happens in between.

A pull asks for the tasks that changed since the last one, by the server's clock. An overlap covers changes that were
still being written then. It compares the tasks with the ledger, and writes votes and the new moment in one transaction.
After a crash before that, the next pull reads again; after it, the work is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.catalog import events
from emolab.catalog.campaign import answers, remotes
from emolab.errors import EmolabError, ServerError
from emolab.labeling.answers import changes, record_votes, shown_guess
from emolab.labeling.answers import pseudonyms as people
from emolab.labeling.form import team_questions
from emolab.labeling.label_studio.retry import patiently, told_to
from emolab.labeling.sync import project
from emolab.labeling.sync.duplicate_tasks import Settled
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class PullReport:
    """What a pull changed in the ledger, over all projects of this workspace on the server."""

    projects: tuple[str, ...]
    read: int = 0  # tasks that were looked at
    new: int = 0
    edited: int = 0
    withdrawn: int = 0
    tasks_deleted: int = 0
    adopted: int = 0
    foreign: int = 0
    doubles_removed: int = 0  # second tasks of one sample without answers, made by a request carried out again
    twins_closed: int = 0  # second tasks with answers (or drafts), taken out of the queue
    projects_removed: int = 0  # empty projects of the same title
    projects_merged: tuple[int, ...] = ()  # further projects of the title, new to us: they count
    by_others: int = 0  # of the new and edited ones: written or changed by somebody else in the annotator's name
    rejected: Mapping[str, int] = field(default_factory=dict)
    people: int = 0  # annotators seen for the first time
    held: Mapping[str, int] = field(default_factory=dict)  # withdrawals held back without consent, by project
    gone: tuple[str, ...] = ()  # projects that were deleted on the server; their votes stay
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the ledger is different from before."""
        return bool(self.new or self.edited or self.withdrawn or self.tasks_deleted or self.adopted)


@dataclass
class _Sum:
    """What has changed so far, over several projects."""

    read: int = 0
    people: int = 0
    settled: Settled = field(default_factory=Settled)
    removed: int = 0
    merged: list[int] = field(default_factory=list)
    surplus: dict[str, list[RemoteProject]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    tally: record_votes.LedgerChanges = field(default_factory=record_votes.LedgerChanges)

    def add(self, tally: record_votes.LedgerChanges) -> None:
        for name in ("new", "edited", "withdrawn", "tasks_deleted", "foreign", "adopted", "by_others"):
            setattr(self.tally, name, getattr(self.tally, name) + getattr(tally, name))
        self.tally.rejected += tally.rejected


def pull(
    workspace: Workspace,
    studio: Studio,
    *,
    title: str | None = None,
    reconcile: bool = False,
    accept_withdrawn: int | None = None,
    progress: Progress = SILENT,
) -> PullReport:
    """Read new, edited and deleted answers from the server into the ledger and return what changed.

    All projects are read that this workspace has used on that server (with ``title`` only that one). ``reconcile``
    reads every task again instead of only the changed ones.

    When more than a tenth of a project's counted votes (and more than one) would be withdrawn, they stay, and the
    report says how many (``held``). Every pull then reads that project again, until they are back or
    ``accept_withdrawn`` is exactly their number. New and edited answers come in all the same.

    Raises :class:`EmolabError` when another pull runs in this workspace or there is no project yet, and
    :class:`ServerError` when the server refuses or stays away; nothing of a failed pull is kept.
    """
    started = time.monotonic()
    total = _Sum()
    gone: list[str] = []
    read: list[str] = []
    with workspace.lock("pull"), workspace.catalog() as catalog, told_to(progress):
        wanted = project.title_of(workspace.config, title)
        for mine, remote in _projects(catalog, studio, wanted, only=title is not None, total=total):
            if remote is None:
                gone.append(mine.title)
                continue
            if mine.title not in read:
                read.append(mine.title)
            classes = workspace.config.project.classes
            _pull(
                catalog, studio, mine, remote, classes=classes, total=total, reconcile=reconcile,
                accept=accept_withdrawn, progress=progress,
            )  # fmt: skip
        for left in total.surplus.values():
            total.removed += len(project.remove_empty(catalog, studio, left))
        if not read and not gone:
            raise EmolabError(f'{studio.url} has no project "{wanted}" yet.', hint="Make it with: emolab label push")
    tally = total.tally
    return PullReport(
        projects=tuple(read),
        read=total.read,
        new=tally.new,
        edited=tally.edited,
        withdrawn=tally.withdrawn,
        tasks_deleted=tally.tasks_deleted,
        adopted=tally.adopted,
        foreign=tally.foreign,
        doubles_removed=len(total.settled.removed),
        twins_closed=len(total.settled.closed),
        projects_removed=total.removed,
        projects_merged=tuple(total.merged),
        by_others=tally.by_others,
        rejected=dict(tally.rejected.most_common()),
        people=total.people,
        held=total.held,
        gone=tuple(gone),
        seconds=round(time.monotonic() - started, 3),
    )


def watch(
    workspace: Workspace,
    studio: Studio,
    *,
    title: str | None = None,
    every: float = 5.0,
    progress: Progress = SILENT,
) -> Iterator[PullReport]:
    """Yield the report of one pull after another, ``every`` seconds apart, until stopped.

    A server that goes away for a while is waited for; a refusal (such as a revoked token) is raised.
    """
    while True:
        try:
            yield pull(workspace, studio, title=title, progress=progress)
        except ServerError as error:
            if not (error.retryable or error.outcome_unknown):
                raise
            progress.note(f"{error.message} Trying again.")
        time.sleep(every)


def _projects(
    catalog: Catalog, studio: Studio, title: str, *, only: bool, total: _Sum
) -> list[tuple[Project, RemoteProject | None]]:
    """The projects to read, each as the server has it now (``None``: deleted there), the oldest of a title first."""
    with catalog.connect() as conn:
        known = [p for p in remotes.projects(conn, server=studio.server_id) if not p.gone]
    titles = [title] if only or not known else sorted({p.title for p in known})
    found: list[tuple[Project, RemoteProject | None]] = []
    for name in titles:
        kin = project.family(catalog, studio, name)
        removed = project.remove_empty(catalog, studio, kin.surplus)
        total.removed += len(removed)
        left = [remote for remote in kin.surplus if remote.id not in removed]
        total.surplus[name] = left
        members = [kin.chosen, *left] if kin.chosen else []
        if {remote.id for remote in members} - {p.project for p in known}:  # said once
            total.merged += [remote.id for remote in left if remote.task_number]
        for remote in members:
            with catalog.begin() as tx:
                found.append((remotes.add_project(tx, server=studio.server_id, project=remote.id, title=name), remote))
    reached, named = {mine.project for mine, _ in found}, {mine.title for mine, _ in found}
    for mine in known:
        if mine.title in titles and mine.project not in reached:  # renamed there, or deleted
            seen = project.look(catalog, studio, mine)
            if seen is not None or mine.title not in named:
                found.append((mine, seen))
    return found


def _pull(
    catalog: Catalog,
    studio: Studio,
    mine: Project,
    remote: RemoteProject,
    *,
    classes: Sequence[str],
    total: _Sum,
    reconcile: bool,
    accept: int | None,
    progress: Progress,
) -> None:
    """Pull one project and add what changed to ``total``."""
    seen = changes.read(catalog, studio, mine, remote, classes, everything=reconcile, progress=progress)
    authors = {a.completed_by for task in seen.tasks for a in task.annotations if a.completed_by is not None}
    with catalog.connect() as conn:
        strangers = authors - answers.people(conn, mine.server).keys()
        known = record_votes.known_of(conn, mine, seen.tasks)
    users = patiently(studio.users) if strangers else {}
    shown = shown_guess.ask(studio, mine, seen.tasks, known)
    with catalog.begin() as tx:
        names = people.remember(tx, mine.server, strangers, users)
        tally = record_votes.record(
            tx, mine, seen.tasks, classes=classes, names=names, overlap=remote.maximum_annotations, guesses=shown,
            there=seen.there, tasks_before=seen.known, accept=accept,
            theirs=team_questions.reserved(remote.label_config),
        )  # fmt: skip
        others = seen.others
        if seen.there is not None:
            others = len(seen.there.keys() - remotes.known_tasks(tx, mine).keys())
        _keep(tx, mine, seen.settled)
        if tally.held:  # the next pull has to see the same again
            remotes.set_cursor(tx, mine, mine.cursor, {**(mine.window or {}), "held": tally.held})
        else:
            remotes.set_cursor(tx, mine, seen.cursor, {**seen.window, "others": others})
        _note(tx, mine, tally, seen.settled)
    total.read += len(seen.tasks)
    total.people += len(strangers)
    total.settled.add(seen.settled)
    total.add(tally)
    if tally.held:
        total.held[mine.title] = tally.held


def _keep(tx: Connection, mine: Project, settled: Settled) -> None:
    """Record which task goes on for each sample that had several."""
    if not settled.keep:
        return
    main = {task.sample_id: task.task for task in remotes.tasks(tx, mine)}
    kept = {uid: task for uid, (number, task) in settled.keep.items() if number == mine.project}
    remotes.arrived(tx, mine, {uid: task for uid, task in kept.items() if uid in main and main[uid] != task})


def _note(tx: Connection, mine: Project, tally: record_votes.LedgerChanges, settled: Settled) -> None:
    """Record what this pull changed as an event; withdrawals held back only when their number is another."""
    detail = {"project": mine.title, "new": tally.new, "edited": tally.edited, "withdrawn": tally.withdrawn}
    if tally.by_others:
        detail["by_others"] = tally.by_others
    held_before = (mine.window or {}).get("held")
    if tally.held and tally.held != held_before:
        detail["held"] = tally.held
    twins = {"twins_removed": len(settled.removed), "twins_closed": len(settled.closed)}
    detail |= {name: count for name, count in twins.items() if count}
    if len(detail) > 4 or tally.new or tally.edited or tally.withdrawn:
        events.record(tx, "pull", detail)
