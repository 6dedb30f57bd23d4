"""Sending samples to the team, in emolab's order, each exactly once.

Whatever stops a push (Ctrl-C, kill -9, a cut connection, a full disk), the next one looks up what happened and goes on;
running it twice, from two machines, or without the local catalog makes no second task for a sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.catalog import events, settings
from emolab.catalog.campaign import remotes
from emolab.errors import DataError
from emolab.labeling.form import controls
from emolab.labeling.label_studio.retry import patiently, told_to
from emolab.labeling.server import releases
from emolab.labeling.sync import merge_projects, project, project_form, queue_order
from emolab.labeling.sync.choose_tasks import TaskChoice, choose, nothing
from emolab.labeling.sync.delivery import deliver, strays
from emolab.labeling.sync.duplicate_tasks import Settled
from emolab.labeling.sync.push_records import NO_GUESSES, PushReport, PushRequest
from emolab.labeling.sync.reconcile_tasks import Link
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project, ProjectTask
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.project_form import FormChange
    from emolab.workspace import Workspace

__all__ = ["PushReport", "push"]

#: How often a push starts again because an older project of its title has turned up.
_MOVES = 3


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
    by sample id) are shown to annotators only with ``show_predictions``, and never for the share ``labeling.blind`` of
    the samples; the catalog keeps them for both.

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
        request = PushRequest(
            title=project.title_of(workspace.config, title),
            n=n,
            suggestions=suggestions,
            everything=everything,
            overlap=overlap,
            visible=visible,
            guesses=guesses if visible else NO_GUESSES,
            blind=settings.blind,
            agree=None if everything or n is not None else agree,
            dry_run=dry_run,
            consent_required=workspace.config.privacy.consent_required,
        )
        sides = _Sides(workspace, catalog, studio, progress)
        report = _push(sides, request)
        for _ in range(_MOVES):
            if dry_run or not report.number or merge_projects.settled(catalog, studio, request.title, report.number):
                break  # else an older project of this title has turned up, and everybody moves there
            report = _push(sides, request.nothing_more())
        return report


@dataclass(frozen=True)
class _Sides:
    """What a push connects: the workspace with its catalog, and the server."""

    workspace: Workspace
    catalog: Catalog
    studio: Studio
    progress: Progress


@dataclass(frozen=True)
class _Situation:
    """What a push finds: the project on the server and in the catalog, what is left over, and what was chosen.

    ``surplus`` are further projects of the title, of which ``gone`` were removed; ``people`` see each sample.
    """

    started: float
    remote: RemoteProject | None
    surplus: tuple[RemoteProject, ...]
    gone: int
    people: int
    here: Project | None
    left_over: Sequence[ProjectTask]
    choice: TaskChoice


def _push(sides: _Sides, request: PushRequest) -> PushReport:
    seen = _look(sides, request)
    choice, progress = seen.choice, sides.progress
    if not (choice.new or choice.again or seen.left_over):
        return _idle(sides, request, seen)
    config = sides.workspace.config
    if request.visible and seen.remote and controls.takes_several(seen.remote.label_config):
        raise DataError(
            f'The form of "{seen.remote.title}" takes several labels; guesses are not shown on such a form.',
            hint="Push without --show-predictions, or to another project: --project NAME",
        )
    change = project_form.form_change(sides.studio, seen.remote, config) if seen.remote else None
    examples = project_form.examples_of(sides.workspace)
    if request.dry_run:
        return _report(
            sides, request, seen, remote=seen.remote, change=change,
            created=len(choice.new), resumed=len(seen.left_over), reopened=len(choice.again),
        )  # fmt: skip
    if request.agree is not None and choice.source == "unlabelled" and choice.new:
        request.agree(len(choice.new))
    remote, change = _prepare(sides, request, seen, change)
    project_form.instruct(sides.studio, remote, config, examples, progress)
    mine = _intend(sides, request, seen, remote)
    link = Link(sides.catalog, sides.studio, mine, _secret(sides))
    sent, reopened = deliver(
        link, remote, seen.surplus, request, root=sides.workspace.root, overlap=seen.people, progress=progress
    )
    gone = seen.gone + len(project.remove_empty(sides.catalog, sides.studio, seen.surplus))
    report = _report(
        sides, request, seen, remote=remote, change=change,
        created=sent.created, resumed=len(seen.left_over), adopted=sent.adopted, reopened=reopened,
        twins_removed=len(sent.twins.removed), twins_closed=len(sent.twins.closed), projects_removed=gone,
        looked_up=sent.unknown, new_project=seen.remote is None, missing=sent.missing,
        waiting=len(queue_order.queue(link)) - len(sent.missing), guesses=sent.guesses, blind=sent.blind,
    )  # fmt: skip
    with sides.catalog.begin() as tx:
        events.record(tx, "push", report.to_event())
    return report


def _look(sides: _Sides, request: PushRequest) -> _Situation:
    """Find the project, move to it what lies in others of its title, and choose what to send."""
    started = time.monotonic()
    catalog, studio, config = sides.catalog, sides.studio, sides.workspace.config
    kin = project.family(catalog, studio, request.title)
    remote, surplus, gone = kin.chosen, kin.surplus, 0
    if remote and surplus and not request.dry_run:
        removed = merge_projects.move(catalog, studio, remote, surplus, title=request.title)
        surplus, gone = tuple(p for p in surplus if p.id not in removed), len(removed)
    people = request.overlap or (remote.maximum_annotations if remote else None) or config.labeling.wanted.low
    with catalog.connect() as conn:
        known = [p for p in remotes.projects(conn, server=studio.server_id) if remote and p.project == remote.id]
        here = known[0] if known else None
        left_over = remotes.tasks(conn, here, "pending", "sending", "reopening") if here else []
    choice = choose(
        catalog,
        here,
        n=request.n,
        suggestions=request.suggestions,
        everything=request.everything,
        overlap=people,
        bar=config.labeling.bar,
        consent_required=config.privacy.consent_required,
    )
    return _Situation(started, remote, surplus, gone, people, here, left_over, choice)


def _secret(sides: _Sides) -> bytes | None:
    """What shifts of voices are drawn with, where voices are to be disguised."""
    if not sides.workspace.config.labeling.disguise_voice:
        return None
    with sides.catalog.begin() as tx:
        return settings.secret(tx)


def _idle(sides: _Sides, request: PushRequest, seen: _Situation) -> PushReport:
    """Send nothing and say why; second tasks of one sample are settled all the same."""
    done = Settled()
    if seen.remote and seen.here and not request.dry_run:
        link = Link(sides.catalog, sides.studio, seen.here)
        done = strays(link, seen.remote, seen.surplus, overlap=seen.people)
    return _report(
        sides, request, seen, remote=seen.remote, change=None,
        twins_removed=len(done.removed), twins_closed=len(done.closed), projects_removed=seen.gone,
        note=nothing(sides.catalog, seen.choice, asked_for_suggestions=request.suggestions),
    )  # fmt: skip


def _prepare(
    sides: _Sides, request: PushRequest, seen: _Situation, change: FormChange | None
) -> tuple[RemoteProject, FormChange | None]:
    """Create the project, or bring its form and settings to what is wanted."""
    config, studio, remote = sides.workspace.config, sides.studio, seen.remote
    if remote is None:
        if doubt := releases.untried(patiently(studio.version)):
            sides.progress.note(doubt)
        remote = project.create(
            sides.catalog, studio, request.title, config, overlap=seen.people, show_predictions=request.visible
        )
        return remote, project_form.form_change(studio, remote, config)
    if change is not None:
        fields = project.settings_change(remote, change, overlap=request.overlap, show_predictions=request.visible)
        if fields:
            project.update(studio, remote, fields, progress=sides.progress)
    return remote, change


def _intend(sides: _Sides, request: PushRequest, seen: _Situation, remote: RemoteProject) -> Project:
    """Write down what is about to be sent, in one transaction."""
    with sides.catalog.begin() as tx:
        mine = remotes.add_project(tx, server=sides.studio.server_id, project=remote.id, title=request.title)
        if remote.maximum_annotations != seen.people:
            remotes.set_overlap(tx, mine, seen.people)
        remotes.want(tx, mine, seen.choice.new)
        remotes.reopen(tx, mine, seen.choice.again)
    return mine


def _report(
    sides: _Sides,
    request: PushRequest,
    seen: _Situation,
    *,
    remote: RemoteProject | None,
    change: FormChange | None,
    **fields: object,
) -> PushReport:
    studio, choice = sides.studio, seen.choice
    return PushReport(
        project=request.title,
        url=f"{studio.url}/projects/{remote.id}" if remote else studio.url,
        number=remote.id if remote else None,
        dry_run=request.dry_run,
        source=choice.source,
        chosen=len(choice.new) + len(choice.again),
        overlap=seen.people,
        deleted_there=choice.deleted,
        left_out=choice.left_out,
        labels_added=change.added if change else (),
        labels_removed=change.removed if change else (),
        labels_kept=change.kept if change else (),
        questions_kept=change.theirs if change else (),
        optional_kept=change.stays if change else (),
        seconds=round(time.monotonic() - seen.started, 3),
        **fields,  # type: ignore[arg-type]
    )
