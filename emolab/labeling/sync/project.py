"""The project on the server: found by its title, created once, its settings kept in step."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.catalog.campaign import answers, remotes
from emolab.errors import DataError, EmolabError, ServerError
from emolab.labeling.form import style
from emolab.labeling.label_studio import retry
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import project_form

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.config import Config
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.project_form import FormChange
    from emolab.progress import Progress

#: How a project's description begins when emolab made it.
MARK = "Made by emolab"
ORDERED = "Uncertainty sampling"  # Label Studio's name for "lowest score first"
SKIPPED_GO_TO_OTHERS = "REQUEUE_FOR_OTHERS"
_LONGEST_TITLE = 50
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Family:
    """The project of a title that goes on (``None``: there is none yet), and further ones of emolab's."""

    chosen: RemoteProject | None
    surplus: tuple[RemoteProject, ...] = ()


def title_of(config: Config, title: str | None = None) -> str:
    """The title of the workspace's project: as asked for, as configured, or ``emolab <workspace name>``."""
    return title or config.labeling.project or f"emolab {config.project.name}"[:_LONGEST_TITLE].rstrip()


def family(catalog: Catalog, studio: Studio, title: str) -> Family:
    """The projects called ``title`` that are emolab's: the one that goes on, and others that a request made again.

    The oldest with emolab's mark goes on, so that all machines agree; else the one this workspace used before, also
    when somebody has renamed it since. One that was deleted on the server is marked as gone.

    Raises :class:`EmolabError` when the only project of that title is somebody's own.
    """
    with catalog.connect() as conn:
        used = [p for p in remotes.projects(conn, server=studio.server_id) if p.title == title and not p.gone]
    same = patiently(lambda: studio.projects(title))
    renamed = [look(catalog, studio, p) for p in used if p.project not in {s.id for s in same}]
    found = chosen_of(same, [p for p in renamed if p is not None], known={p.project for p in used})
    if found.chosen is None and same:
        raise EmolabError(
            f'The project "{title}" on {studio.url} was not made by emolab, so it is left alone.',
            hint=f'Choose another title with --project NAME, or write "{MARK}" into its description to hand it over.',
        )
    return found


def chosen_of(same: Sequence[RemoteProject], renamed: Sequence[RemoteProject], *, known: Collection[int]) -> Family:
    """Which project goes on: one of the ``same`` title (oldest first), or one that was used and ``renamed`` since.

    ``known`` are the numbers of the projects that this workspace has used under the title.
    """
    ours = [p for p in same if is_ours(p) or p.id in known]
    chosen = next((p for p in ours if is_ours(p)), None) or next(iter(ours), None)
    if renamed and (chosen is None or chosen.id not in known):
        return Family(renamed[0])
    return Family(chosen, tuple(p for p in ours if chosen is not None and p.id != chosen.id))


def is_ours(remote: RemoteProject) -> bool:
    """Whether emolab made this project: its description or its form says so."""
    return MARK in remote.description or f'className="{style.CLASS}"' in remote.label_config


def remove_empty(catalog: Catalog, studio: Studio, surplus: Sequence[RemoteProject]) -> set[int]:
    """Delete those of ``surplus`` projects that hold no task, looking again right before; return which went.

    Only projects with emolab's mark are deleted, and none whose answers are still in the ledger: a pull has to read
    first that these are gone. One that somebody else has just deleted is fine.
    """
    removed: set[int] = set()
    with catalog.connect() as conn:
        known = {p.project: p for p in remotes.projects(conn, server=studio.server_id)}
        answered = {number for number, mine in known.items() if not mine.gone and answers.by_task(conn, mine)}
    for remote in surplus:
        if remote.id in answered:
            continue
        now = _still_there(studio, remote.id)
        if now and (now.task_number or now.annotation_number or now.skipped_number or MARK not in now.description):
            continue
        try:
            if now:
                studio.delete_project(remote.id)
        except ServerError as error:
            if error.status != 404 and not error.outcome_unknown:
                raise
        removed.add(remote.id)
        if remote.id in known:
            with catalog.begin() as tx:
                remotes.set_gone(tx, known[remote.id])
    return removed


def look(catalog: Catalog, studio: Studio, project: Project) -> RemoteProject | None:
    """The project as the server has it; ``None`` (and marked as gone) when it was deleted there."""
    found = _still_there(studio, project.project)
    if found is None:
        with catalog.begin() as tx:
            remotes.set_gone(tx, project)
    return found


def _still_there(studio: Studio, number: int) -> RemoteProject | None:
    """The project as the server has it, ``None`` when it was deleted there; raised is what leaves that open."""
    try:
        return patiently(lambda: studio.project(number))
    except ServerError as error:
        if error.status != 404:
            raise
    return None


def create(
    catalog: Catalog,
    studio: Studio,
    title: str,
    config: Config,
    *,
    overlap: int,
    show_predictions: bool,
) -> RemoteProject:
    """Create the project, or return the one that an interrupted or parallel push created first."""
    for attempt in range(_ATTEMPTS):
        try:
            made = studio.create_project(
                title,
                project_form.form_for(config, ()),
                maximum_annotations=overlap,
                sampling=ORDERED,
                show_predictions=show_predictions,
                description=f"{MARK}, which manages its tasks and their order.",
                instruction=project_form.instruction_of(config),
                skip_queue=SKIPPED_GO_TO_OTHERS,
            )
        except ServerError as error:
            if not (error.outcome_unknown or error.retryable) or attempt == _ATTEMPTS - 1:
                raise
            found = _turns_up(catalog, studio, title)
            if found is not None:
                return found
        else:
            return family(catalog, studio, title).chosen or made
    raise AssertionError("unreachable")


def _turns_up(catalog: Catalog, studio: Studio, title: str) -> RemoteProject | None:
    """The project called ``title`` when a request that broke has made it after all."""
    end = time.monotonic() + retry.SETTLE
    while True:
        found = family(catalog, studio, title).chosen
        if found is not None or time.monotonic() > end:
            return found
        time.sleep(0.3)


def settings_change(
    remote: RemoteProject, change: FormChange, *, overlap: int | None, show_predictions: bool
) -> dict[str, object]:
    """The fields of the project that have to be changed on the server, by Label Studio's names."""
    wanted: dict[str, tuple[object, object]] = {
        "sampling": (remote.sampling, ORDERED),
        "show_collab_predictions": (remote.show_predictions, show_predictions),
        "maximum_annotations": (
            remote.maximum_annotations,
            remote.maximum_annotations if overlap is None else overlap,
        ),
    }
    fields = {name: target for name, (present, target) in wanted.items() if present != target}
    if change.needed:
        fields["label_config"] = change.config
    return fields


def update(studio: Studio, remote: RemoteProject, fields: Mapping[str, object], *, progress: Progress) -> None:
    """Change fields of the project. Raises :class:`DataError` in words when the server refuses the form."""
    try:
        patiently(lambda: studio.update_project(remote.id, **fields), progress=progress)
    except ServerError as error:
        if error.status != 400 or "label_config" not in fields:
            raise
        raise DataError(
            f'Label Studio refuses the new form of project "{remote.title}": {" ".join(error.message.split())[:300]}',
            hint="Its form and its answers do not fit together. Look at Settings, Labeling Interface there, or use "
            "another project: emolab label push --project NAME",
        ) from error
