"""Bringing the team's answers back as votes: only what changed, each answer once, whatever happens in between.

A pull asks for the tasks that changed since the last one, by the server's clock. An overlap covers changes that were
still being written then. It compares the tasks with the ledger, and writes votes and the new moment in one transaction.
After a crash before that, the next pull reads again; after it, the work is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.catalog import events
from emolab.catalog.campaign import answers, remotes
from emolab.catalog.privacy.tombstones import Tombstones
from emolab.errors import EmolabError, ServerError
from emolab.labeling.answers import changes, pseudonyms, record_votes, shown_guess, uncounted
from emolab.labeling.form import controls, team_questions
from emolab.labeling.label_studio.retry import patiently, told_to
from emolab.labeling.sync import project
from emolab.labeling.sync.pull_report import PullReport, PullTotal
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.answers.record_votes import LedgerChanges
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.duplicate_tasks import Settled
    from emolab.workspace import Workspace

__all__ = ["PullReport", "pull", "watch"]


@dataclass(frozen=True)
class _Sides:
    """What a pull connects, the catalog and the server, and how it reads: see :func:`pull`."""

    catalog: Catalog
    studio: Studio
    classes: Sequence[str]
    reconcile: bool
    accept: int | None
    progress: Progress
    forgotten: Tombstones


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
    total = PullTotal()
    with workspace.lock("pull"), workspace.catalog() as catalog, told_to(progress):
        wanted = project.title_of(workspace.config, title)
        classes, gone = workspace.config.project.classes, Tombstones(workspace)
        sides = _Sides(catalog, studio, classes, reconcile, accept_withdrawn, progress, gone)
        for mine, remote in _projects(catalog, studio, wanted, only=title is not None, total=total):
            if remote is None:
                total.gone.append(mine.title)
                continue
            if mine.title not in total.read:
                total.read.append(mine.title)
            _pull(sides, mine, remote, total)
        for left in total.surplus.values():
            total.removed += len(project.remove_empty(catalog, studio, left))
        if not total.read and not total.gone:
            raise EmolabError(f'{studio.url} has no project "{wanted}" yet.', hint="Make it with: emolab label push")
    return total.report(time.monotonic() - started)


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
    catalog: Catalog, studio: Studio, title: str, *, only: bool, total: PullTotal
) -> list[tuple[Project, RemoteProject | None]]:
    """The projects to read, each as the server has it now (``None``: deleted there), the oldest of a title first."""
    with catalog.connect() as conn:
        known = [p for p in remotes.projects(conn, server=studio.server_id) if not p.gone]
    titles = [title] if only or not known else sorted({p.title for p in known})
    found: list[tuple[Project, RemoteProject | None]] = []
    for name in titles:
        for remote in _of_title(catalog, studio, name, {p.project for p in known}, total):
            with catalog.begin() as tx:
                found.append((remotes.add_project(tx, server=studio.server_id, project=remote.id, title=name), remote))
    reached, named = {mine.project for mine, _ in found}, {mine.title for mine, _ in found}
    for mine in known:
        if mine.title in titles and mine.project not in reached:  # renamed there, or deleted
            seen = project.look(catalog, studio, mine)
            if seen is not None or mine.title not in named:
                found.append((mine, seen))
    return found


def _of_title(catalog: Catalog, studio: Studio, title: str, known: set[int], total: PullTotal) -> list[RemoteProject]:
    """The projects of a title on the server that hold tasks; empty surplus ones are removed."""
    kin = project.family(catalog, studio, title)
    removed = project.remove_empty(catalog, studio, kin.surplus)
    total.removed += len(removed)
    left = [remote for remote in kin.surplus if remote.id not in removed]
    total.surplus[title] = left
    members = [kin.chosen, *left] if kin.chosen else []
    if {remote.id for remote in members} - known:  # said once
        total.merged += [remote.id for remote in left if remote.task_number]
    return members


def _pull(sides: _Sides, mine: Project, remote: RemoteProject, total: PullTotal) -> None:
    """Pull one project and add what changed to ``total``."""
    catalog, studio = sides.catalog, sides.studio
    seen = changes.read(
        catalog, studio, mine, remote, sides.classes, everything=sides.reconcile, progress=sides.progress
    )
    authors = {a.completed_by for task in seen.tasks for a in task.annotations if a.completed_by is not None}
    with catalog.connect() as conn:
        strangers = authors - answers.people(conn, mine.server).keys()
        known = record_votes.known_of(conn, mine, seen.tasks)
    users = patiently(studio.users) if strangers else {}
    asked = shown_guess.ask(studio, mine, seen.tasks, known)
    shown = shown_guess.words(asked)
    with catalog.begin() as tx:
        shown_guess.add_hidden(tx, mine, seen.tasks, shown)
        pulled = record_votes.PulledTasks(
            tasks=seen.tasks,
            classes=sides.classes,
            names=pseudonyms.remember(tx, mine.server, strangers, users),
            overlap=remote.maximum_annotations,
            guesses=shown,
            forms={number: said.form for number, said in asked.items() if said.form is not None},
            theirs=team_questions.reserved(remote.label_config),
            several=controls.takes_several(remote.label_config),
            there=seen.there,
            tasks_before=seen.known,
            accept=sides.accept,
        )
        changed = record_votes.record(tx, mine, pulled)
        changed.forgotten = len(sides.forgotten.among(task.uid for task in seen.tasks if task.uid))
        changed.foreign -= changed.forgotten
        _store(tx, mine, seen, changed)
    total.uncounted += uncounted.uncounted(studio, seen.tasks)
    total.add(mine.title, changed, seen.settled, tasks=len(seen.tasks), people=len(strangers))


def _store(tx: Connection, mine: Project, seen: changes.Reading, changed: LedgerChanges) -> None:
    """Write down from where the next pull reads, and what this one did."""
    others = seen.others
    if seen.there is not None:
        others = len(seen.there.keys() - remotes.known_tasks(tx, mine).keys())
    _keep(tx, mine, seen.settled)
    if changed.held:  # the next pull has to see the same again
        remotes.set_cursor(tx, mine, mine.cursor, {**(mine.window or {}), "held": changed.held})
    else:
        remotes.set_cursor(tx, mine, seen.cursor, {**seen.window, "others": others})
    _note(tx, mine, changed, seen.settled)


def _keep(tx: Connection, mine: Project, settled: Settled) -> None:
    """Record which task goes on for each sample that had several."""
    if not settled.keep:
        return
    main = {task.sample_id: task.task for task in remotes.tasks(tx, mine)}
    kept = {uid: task for uid, (number, task) in settled.keep.items() if number == mine.project}
    remotes.arrived(tx, mine, {uid: task for uid, task in kept.items() if uid in main and main[uid] != task})


def _note(tx: Connection, mine: Project, tally: LedgerChanges, settled: Settled) -> None:
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
