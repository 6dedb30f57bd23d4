"""Sending samples to the team, in emolab's order, each exactly once.

Whatever stops a push (Ctrl-C, kill -9, a cut connection, a full disk), the next one looks up what happened and goes on;
running it twice, from two machines, or without the local catalog makes no second task for a sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.catalog import events, remotes
from emolab.errors import DataError
from emolab.labeling import adopt, order, project, releases
from emolab.labeling.adopt import Link
from emolab.labeling.choose import Choice, choose, nothing
from emolab.labeling.patience import patiently
from emolab.labeling.send import Order, Sent, send, settle
from emolab.labeling.studio_queries import newest_task
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.labeling.project import FormChange
    from emolab.labeling.studio import Studio
    from emolab.labeling.studio_records import RemoteProject
    from emolab.workspace import Workspace

NO_GUESSES: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class PushReport:
    """What a push did, or with ``dry_run`` would do."""

    project: str
    url: str  # of the project, for the browser
    dry_run: bool
    source: str  # suggestions | unlabelled
    chosen: int
    created: int = 0
    resumed: int = 0  # left over from an interrupted push
    adopted: int = 0  # found on the server already
    reopened: int = 0  # asked for one more opinion
    twins_removed: int = 0
    looked_up: int = 0  # requests that broke and whose outcome had to be looked up
    waiting: int = 0  # tasks in the queue of the annotators after the push
    overlap: int = 0
    new_project: bool = False
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()
    labels_kept: tuple[str, ...] = ()  # no classes any more, but used in answers
    questions_kept: tuple[str, ...] = ()  # of the team's own, which stay on the form
    optional_kept: tuple[str, ...] = ()  # second, confidence: switched off, but answered, so they stay on the form
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

    Sends the pending suggestions, or the first ``n`` or ``everything`` unlabelled; with none of them asked for, the
    suggestions if there are any, else everything unlabelled. In this last case ``agree`` is called with the number of
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
    with workspace.lock("push"), workspace.catalog() as catalog:
        return _push(
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
    remote = project.find(catalog, studio, title)
    people = overlap or (remote.maximum_annotations if remote else None) or config.labeling.wanted.low
    with catalog.connect() as conn:
        known = [p for p in remotes.projects(conn, server=studio.server_id) if remote and p.project == remote.id]
        here = known[0] if known else None
        left_over = remotes.tasks(conn, here, "pending", "sending", "reopening") if here else []
    choice = choose(catalog, here, n=n, suggestions=suggestions, everything=everything, overlap=people)
    if not (choice.new or choice.again or left_over):
        removed = 0
        if remote and here and not dry_run:
            removed = _remove_strays(Link(catalog, studio, here), remote, overlap=people)
        return _report(
            studio, title, choice, started=started, dry_run=dry_run, remote=remote, change=None, overlap=people,
            twins_removed=removed,
            note=nothing(catalog, choice, asked_for_suggestions=suggestions),
        )  # fmt: skip
    change = project.form_change(studio, remote, config) if remote else None
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
        remote = project.create(studio, title, config, overlap=people, show_predictions=visible)
        change = project.form_change(studio, remote, config)
    elif change is not None:
        fields = project.settings_change(remote, change, overlap=overlap, show_predictions=visible)
        if fields:
            project.update(studio, remote, fields, progress=progress)
    with catalog.begin() as tx:
        mine = remotes.add_project(tx, server=studio.server_id, project=remote.id, title=title)
        if remote.maximum_annotations != people:
            remotes.set_overlap(tx, mine, people)
        remotes.want(tx, mine, choice.new)
        remotes.reopen(tx, mine, choice.again)
    link = Link(catalog, studio, mine)
    sent, reopened = _carry_out(
        workspace, link, remote, guesses=guesses, visible=visible, overlap=people, progress=progress
    )
    report = _report(
        studio, title, choice, started=started, dry_run=False, remote=remote, change=change, overlap=people,
        created=sent.created, resumed=len(left_over), adopted=sent.adopted, reopened=reopened,
        twins_removed=sent.twins_removed, looked_up=sent.unknown, new_project=fresh, missing=sent.missing,
        waiting=len(order.queue(link)) - len(sent.missing),
    )  # fmt: skip
    with catalog.begin() as tx:
        detail = {"project": title, "created": sent.created, "adopted": sent.adopted, "reopened": reopened}
        events.record(tx, "push", detail)
    return report


def _carry_out(
    workspace: Workspace,
    link: Link,
    remote: RemoteProject,
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
    sent.twins_removed += _remove_strays(link, remote, overlap=overlap)
    unsure = [task for task in outbox if task.state == "sending"]
    lost = settle(link, unsure, task_number=remote.task_number)
    fresh = [task for task in outbox if task.state == "pending"]
    found = adopt.find(link, [task.sample_id for task in fresh], task_number=remote.task_number)
    _, removed = adopt.adopt(link, found, overlap=overlap) if found else (0, 0)
    sent.adopted += len(found) + len(unsure) - len(lost)
    sent.twins_removed += removed
    todo = {task.sample_id for task in lost} | {t.sample_id for t in fresh if t.sample_id not in found}
    outgoing = [task for task in outbox if task.sample_id in todo]
    version = order.new_version()
    places = order.scores(order.queue(link))
    with progress.task("Sending to Label Studio", total=len(outgoing), unit="images") as bar:
        send(link, outgoing, Order(version, places, guesses), root=workspace.root, sent=sent, bar=bar)
    sent.twins_removed += adopt.remove_twins(link, after=newest, overlap=overlap)
    seen = visible or remote.show_predictions
    order.apply(link, version, places, already=sent.scored, guesses=guesses, visible=seen)
    if unsure or sent.unknown:  # what was cut off may have come through meanwhile
        sent.twins_removed += adopt.remove_twins(link, after=newest, overlap=overlap)
    return sent, _reopen(link, progress)


def _remove_strays(link: Link, remote: RemoteProject, *, overlap: int) -> int:
    """Resolve doubles that came after the last push had looked; the number of tasks tells when there may be some."""
    with link.catalog.connect() as conn:
        expected = len(remotes.known_tasks(conn, link.project)) + int((link.project.window or {}).get("others", 0))
    return 0 if remote.task_number == expected else adopt.remove_twins(link, after=0, overlap=overlap)


def _reopen(link: Link, progress: Progress) -> int:
    """Ask for one more opinion where that is wanted; repeating such a request changes nothing."""
    with link.catalog.connect() as conn:
        waiting = [task for task in remotes.tasks(conn, link.project, "reopening") if task.task is not None]
    if not waiting:
        return 0
    with progress.task("Asking once more", total=len(waiting), unit="tasks") as bar:
        for task in waiting:
            number = task.task or 0
            patiently(lambda number=number, task=task: link.studio.reopen_task(number, overlap=task.overlap))  # type: ignore[misc]
            with link.catalog.begin() as tx:
                remotes.set_state(tx, link.project, [task.sample_id], "open")
            bar.advance()
    return len(waiting)


def _report(
    studio: Studio,
    title: str,
    choice: Choice,
    *,
    started: float,
    remote: RemoteProject | None,
    change: FormChange | None,
    **fields: object,
) -> PushReport:
    return PushReport(
        project=title,
        url=f"{studio.url}/projects/{remote.id}" if remote else studio.url,
        source=choice.source,
        chosen=len(choice.new) + len(choice.again),
        deleted_there=choice.deleted,
        labels_added=change.added if change else (),
        labels_removed=change.removed if change else (),
        labels_kept=change.kept if change else (),
        questions_kept=change.theirs if change else (),
        optional_kept=change.stays if change else (),
        seconds=round(time.monotonic() - started, 3),
        **fields,  # type: ignore[arg-type]
    )
