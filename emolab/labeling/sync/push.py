"""Sending samples to the team, in emolab's order, each exactly once.

Whatever stops a push (Ctrl-C, kill -9, a cut connection, a full disk), the next one looks up what happened and goes on;
running it twice, from two machines, or without the local catalog makes no second task for a sample.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.catalog import events
from emolab.catalog.campaign import answers, remotes
from emolab.errors import DataError
from emolab.labeling.label_studio import releases
from emolab.labeling.label_studio.queries import newest_task
from emolab.labeling.label_studio.retry import patiently, told_to
from emolab.labeling.sync import merge_projects, project, queue_order, reconcile_tasks
from emolab.labeling.sync.choose_tasks import TaskChoice, choose, nothing
from emolab.labeling.sync.duplicate_tasks import Settled
from emolab.labeling.sync.outbox import Order, Sent, send, settle
from emolab.labeling.sync.reconcile_tasks import Link
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.project import FormChange
    from emolab.workspace import Workspace

#: How often a push starts again because an older project of its title has turned up.
_MOVES = 3
NO_GUESSES: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class PushReport:
    """What a push did, or with ``dry_run`` would do."""

    project: str
    url: str  # of the project, for the browser
    number: int | None  # the project's own on the server, once there is one
    dry_run: bool
    source: str  # suggestions | unlabelled
    chosen: int
    created: int = 0
    resumed: int = 0  # left over from an interrupted push
    adopted: int = 0  # found on the server already
    reopened: int = 0  # asked for one more opinion
    twins_removed: int = 0
    twins_closed: int = 0  # second tasks with answers, taken out of the queue
    projects_removed: int = 0  # empty ones of the same title, made by a repeated request
    looked_up: int = 0  # requests that broke and whose outcome had to be looked up
    waiting: int = 0  # tasks in the queue of the annotators after the push
    overlap: int = 0
    new_project: bool = False
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()
    labels_kept: tuple[str, ...] = ()  # no classes any more, but used in answers
    questions_kept: tuple[str, ...] = ()  # of the team's own, which stay on the form
    optional_kept: tuple[str, ...] = ()  # second, confidence: switched off, but answered, so they stay on the form
    left_out: Mapping[str, int] = field(default_factory=dict)  # not worth asking about, by reason
    deleted_there: int = 0  # chosen, but somebody deleted their task on the server
    missing: list[str] = field(default_factory=list)  # samples whose file cannot be read or shown
    note: str = ""  # why nothing was to be done
    seconds: float = 0.0


def push(
    workspace: Workspace,
    studio: Studio,
    *,
    n: int | None = None,
    suggestions: bool = False,
    everything: bool = False,
    overlap: int | None = None,
    title: str | None = None,
    show_predictions: bool | None = None,
    guesses: Mapping[str, str] = NO_GUESSES,
    agree: Callable[[int], None] | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> PushReport:
    """Send samples to the workspace's project on a Label Studio server and return what was done.

    Sends the pending suggestions, or ``n`` drawn from the unlabelled or ``everything`` unlabelled; with none of them
    asked for, the suggestions if there are any, else everything unlabelled. Unlabelled samples below the bar of the
    settings and near copies are left out and counted. In this last case ``agree`` is called with the number of
    samples before anything is sent or stored, and may raise. ``overlap`` people see each sample of the project, earlier
    ones too; by default it stays as it is, and a new project gets the low end of ``labeling.votes``. ``guesses`` (class
    by sample id) are shown to annotators only with ``show_predictions``.

    Raises :class:`EmolabError` when another push runs in this workspace, :class:`DataError` when it has no samples, and
    :class:`ServerError` when the server refuses or stays away; running it again goes on where it stopped.
    """
    if n is not None and n < 1:
        raise DataError(f"{n} samples cannot be pushed; expected at least 1.")
    if overlap is not None and not 1 <= overlap <= 100:
        raise DataError(f"An overlap of {overlap} makes no sense; expected 1 to 100 people per sample.")
    settings = workspace.config.labeling
    visible = settings.show_predictions if show_predictions is None else show_predictions
    with workspace.lock("push"), workspace.catalog() as catalog, told_to(progress):
        go = functools.partial(
            _push,
            workspace,
            catalog,
            studio,
            n=n,
            suggestions=suggestions,
            everything=everything,
            agree=None if everything or n is not None else agree,
            overlap=overlap,
            title=project.title_of(workspace.config, title),
            visible=visible,
            guesses=guesses if visible else NO_GUESSES,
            dry_run=dry_run,
            progress=progress,
        )
        report = go()
        wanted = project.title_of(workspace.config, title)
        for _ in range(_MOVES):
            if dry_run or not report.number or merge_projects.settled(catalog, studio, wanted, report.number):
                break  # else an older project of this title has turned up, and everybody moves there
            report = go(n=0, suggestions=False, everything=False, agree=None)
        return report


def _push(
    workspace: Workspace,
    catalog: Catalog,
    studio: Studio,
    *,
    n: int | None,
    suggestions: bool,
    everything: bool,
    agree: Callable[[int], None] | None,
    overlap: int | None,
    title: str,
    visible: bool,
    guesses: Mapping[str, str],
    dry_run: bool,
    progress: Progress,
) -> PushReport:
    started = time.monotonic()
    config = workspace.config
    kin = project.family(catalog, studio, title)
    remote = kin.chosen
    surplus, gone = kin.surplus, 0
    if remote and surplus and not dry_run:
        removed = merge_projects.move(catalog, studio, remote, surplus, title=title)
        surplus, gone = tuple(p for p in surplus if p.id not in removed), len(removed)
    people = overlap or (remote.maximum_annotations if remote else None) or config.labeling.wanted.low
    with catalog.connect() as conn:
        known = [p for p in remotes.projects(conn, server=studio.server_id) if remote and p.project == remote.id]
        here = known[0] if known else None
        left_over = remotes.tasks(conn, here, "pending", "sending", "reopening") if here else []
    bar = config.labeling.bar
    choice = choose(catalog, here, n=n, suggestions=suggestions, everything=everything, overlap=people, bar=bar)
    if not (choice.new or choice.again or left_over):
        done = Settled()
        if remote and here and not dry_run:
            done = _strays(Link(catalog, studio, here), remote, surplus, overlap=people)
        return _report(
            studio, title, choice, started=started, dry_run=dry_run, remote=remote, change=None, overlap=people,
            twins_removed=len(done.removed), twins_closed=len(done.closed), projects_removed=gone,
            note=nothing(catalog, choice, asked_for_suggestions=suggestions),
        )  # fmt: skip
    change = project.form_change(studio, remote, config) if remote else None
    examples = project.examples_of(workspace)
    if dry_run:
        return _report(
            studio, title, choice, started=started, dry_run=True, remote=remote, change=change, overlap=people,
            created=len(choice.new), resumed=len(left_over), reopened=len(choice.again),
        )  # fmt: skip
    if agree is not None and choice.source == "unlabelled" and choice.new:
        agree(len(choice.new))
    fresh = remote is None
    if remote is None:
        if doubt := releases.untried(patiently(studio.version)):
            progress.note(doubt)
        remote = project.create(catalog, studio, title, config, overlap=people, show_predictions=visible)
        change = project.form_change(studio, remote, config)
    elif change is not None:
        fields = project.settings_change(remote, change, overlap=overlap, show_predictions=visible)
        if fields:
            project.update(studio, remote, fields, progress=progress)
    project.instruct(studio, remote, config, examples, progress)
    with catalog.begin() as tx:
        mine = remotes.add_project(tx, server=studio.server_id, project=remote.id, title=title)
        if remote.maximum_annotations != people:
            remotes.set_overlap(tx, mine, people)
        remotes.want(tx, mine, choice.new)
        remotes.reopen(tx, mine, choice.again)
    link = Link(catalog, studio, mine)
    sent, reopened = _carry_out(
        workspace, link, remote, surplus, guesses=guesses, visible=visible, overlap=people, progress=progress
    )
    gone += len(project.remove_empty(catalog, studio, surplus))
    report = _report(
        studio, title, choice, started=started, dry_run=False, remote=remote, change=change, overlap=people,
        created=sent.created, resumed=len(left_over), adopted=sent.adopted, reopened=reopened,
        twins_removed=len(sent.twins.removed), twins_closed=len(sent.twins.closed), projects_removed=gone,
        looked_up=sent.unknown, new_project=fresh, missing=sent.missing,
        waiting=len(queue_order.queue(link)) - len(sent.missing),
    )  # fmt: skip
    with catalog.begin() as tx:
        detail = {"project": title, "created": sent.created, "adopted": sent.adopted, "reopened": reopened}
        detail |= {name: n for name, n in (("twins_removed", len(sent.twins.removed)),
                   ("twins_closed", len(sent.twins.closed)), ("projects_removed", gone)) if n}  # fmt: skip
        events.record(tx, "push", detail)
    return report


def _carry_out(
    workspace: Workspace,
    link: Link,
    remote: RemoteProject,
    surplus: Sequence[RemoteProject],
    *,
    guesses: Mapping[str, str],
    visible: bool,
    overlap: int,
    progress: Progress,
) -> tuple[Sent, int]:
    """Empty the outbox of the project; return what was sent and how many tasks were reopened."""
    sent = Sent()
    newest = patiently(lambda: newest_task(link.studio, remote.id), progress=progress)
    with link.catalog.connect() as conn:
        outbox = remotes.tasks(conn, link.project, "pending", "sending")
    sent.twins.add(_strays(link, remote, (), overlap=overlap))
    unsure = [task for task in outbox if task.state == "sending"]
    lost = settle(link, unsure, sent.twins, task_number=remote.task_number)
    fresh = [task for task in outbox if task.state == "pending"]
    found = reconcile_tasks.find(link, [task.sample_id for task in fresh], task_number=remote.task_number)
    if found:
        sent.twins.add(reconcile_tasks.adopt(link, found, overlap=overlap))
    sent.adopted += len(found) + len(unsure) - len(lost)
    todo = {task.sample_id for task in lost} | {t.sample_id for t in fresh if t.sample_id not in found}
    outgoing = [task for task in outbox if task.sample_id in todo]
    version = queue_order.new_version()
    places = queue_order.scores(queue_order.queue(link))
    with progress.task("Sending to Label Studio", total=len(outgoing), unit="images") as bar:
        send(link, outgoing, Order(version, places, guesses), root=workspace.root, sent=sent, bar=bar)
    sent.twins.add(reconcile_tasks.sweep(link, after=newest, overlap=overlap))
    sent.twins.add(merge_projects.settle_across(link, surplus, overlap=overlap))
    seen = visible or remote.show_predictions
    queue_order.apply(link, version, places, already=sent.scored, guesses=guesses, visible=seen)
    if unsure or sent.unknown:  # what was cut off may have come through meanwhile
        sent.twins.add(reconcile_tasks.sweep(link, after=newest, overlap=overlap))
    return sent, _reopen(link, progress)


def _strays(link: Link, remote: RemoteProject, surplus: Sequence[RemoteProject], *, overlap: int) -> Settled:
    """Settle twins that came after the last push had looked; the number of tasks and the newest one tell of them."""
    with link.catalog.connect() as conn:
        known = remotes.known_tasks(conn, link.project)
    expected = len(known) + int((link.project.window or {}).get("others", 0))
    newest = patiently(lambda: newest_task(link.studio, remote.id))
    quiet = remote.task_number == expected and newest <= max(known, default=0)
    done = reconcile_tasks.sweep(link, after=newest if quiet else 0, overlap=overlap)
    done.add(merge_projects.settle_across(link, surplus, overlap=overlap))
    return done


def _reopen(link: Link, progress: Progress) -> int:
    """Ask for one more opinion where that is wanted; repeating such a request changes nothing."""
    with link.catalog.connect() as conn:
        waiting = [task for task in remotes.tasks(conn, link.project, "reopening") if task.task is not None]
        elsewhere = _on_twins(conn, link.project, waiting)
    if not waiting:
        return 0
    with progress.task("Asking once more", total=len(waiting), unit="tasks") as bar:
        for task in waiting:
            number, people = task.task or 0, max(1, task.overlap - elsewhere[task.sample_id])
            patiently(lambda number=number, people=people: link.studio.reopen_task(number, overlap=people))  # type: ignore[misc]
            with link.catalog.begin() as tx:
                remotes.set_state(tx, link.project, [task.sample_id], "open")
            bar.advance()
    return len(waiting)


def _on_twins(conn: Connection, mine: remotes.Project, waiting: Sequence[remotes.ProjectTask]) -> Counter[str]:
    """How many people have answered each sample only on a task that left the queue: those are not asked for again."""
    main = {task.sample_id: task.task for task in waiting}
    here: dict[str, set[str]] = {sample_id: set() for sample_id in main}
    away: dict[str, set[str]] = {sample_id: set() for sample_id in main}
    for answer in answers.find(conn, mine, by_sample=sorted(main)):
        (here if answer.task == main[answer.sample_id] else away)[answer.sample_id].add(answer.annotator)
    return Counter({sample_id: len(away[sample_id] - here[sample_id]) for sample_id in main})


def _report(
    studio: Studio,
    title: str,
    choice: TaskChoice,
    *,
    started: float,
    remote: RemoteProject | None,
    change: FormChange | None,
    **fields: object,
) -> PushReport:
    return PushReport(
        project=title,
        url=f"{studio.url}/projects/{remote.id}" if remote else studio.url,
        number=remote.id if remote else None,
        source=choice.source,
        chosen=len(choice.new) + len(choice.again),
        deleted_there=choice.deleted,
        left_out=choice.left_out,
        labels_added=change.added if change else (),
        labels_removed=change.removed if change else (),
        labels_kept=change.kept if change else (),
        questions_kept=change.theirs if change else (),
        optional_kept=change.stays if change else (),
        seconds=round(time.monotonic() - started, 3),
        **fields,  # type: ignore[arg-type]
    )
