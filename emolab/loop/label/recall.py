"""Tasks leave Label Studio whose samples may not be shown to annotators any more: consent expired or was withdrawn.

Their answers stay in the ledger of votes: a task goes only when every answer on it has been pulled. What is meant is
written down before the server is asked, and the server is asked before it is forgotten, so a kill in between leaves a
task that the next pull takes out. A sample whose consent is renewed may be sent again.

Samples that merely lack an entry (``privacy.consent_required``) are not recalled: a setting must not empty a project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteTask
    from emolab.workspace import Workspace

#: Tasks that one request deletes.
_TOGETHER = 500


class Recall:
    """Recalls tasks where there may be some to recall: the day or the register is another one, or answers came."""

    def __init__(self, workspace: Workspace, studio: Studio) -> None:
        self._workspace, self._studio = workspace, studio
        self._seen: tuple[str, int, int] | None = None

    def after(self, *, news: bool) -> int:
        """What :func:`recall` says; ``news``: the pull before brought something, such as an answer that was lacking."""
        from emolab.catalog.privacy import consents

        with self._workspace.catalog() as catalog, catalog.connect() as conn:
            stamp = consents.stamp(conn)
        if stamp == self._seen and not news:
            return 0
        found = recall(self._workspace, self._studio)
        self._seen = stamp
        return found


def recall(workspace: Workspace, studio: Studio) -> int:
    """Take the tasks of samples whose consent has ended off the server, and say how many that were.

    Raises :class:`ServerError` when the server refuses or stays away.
    """
    from emolab.catalog.campaign import remotes
    from emolab.catalog.privacy import consents

    with workspace.lock("pull"), workspace.catalog() as catalog:
        with catalog.connect() as conn:
            barred = consents.allowed(conn, "label", required=False).barred
            known = [p for p in remotes.projects(conn, server=studio.server_id) if not p.gone] if barred else []
            held = [(p, [each for each in remotes.tasks(conn, p) if each.sample_id in barred]) for p in known]
        return sum(
            _recall(catalog, studio, mine, [each.sample_id for each in rows if each.task is not None])
            for mine, rows in held
            if rows
        )


def _recall(catalog: Catalog, studio: Studio, mine: Project, ids: list[str]) -> int:
    """Take the tasks of the samples ``ids`` out of one project."""
    from emolab.catalog.campaign import answers, remotes
    from emolab.catalog.storage.chunks import chunks

    found = studio.lookup_tasks(mine.project, ids) if ids else {}
    with catalog.begin() as tx:
        going = {uid: tasks for uid, tasks in found.items() if _all_pulled(tx, mine, tasks)}
        answers.forget(tx, mine, [one.annotation for one in answers.find(tx, mine, by_sample=list(going))])
        remotes.set_state(tx, mine, list(going), "deleted")
    numbers = sorted(task.id for tasks in going.values() for task in tasks)
    for part in chunks(numbers, _TOGETHER):
        studio.delete_tasks(mine.project, part)
    with catalog.begin() as tx:
        remotes.drop(tx, mine, [*going, *(uid for uid in ids if uid not in found)])
    return len(numbers)


def _all_pulled(conn: Connection, mine: Project, tasks: list[RemoteTask]) -> bool:
    """Whether the ledger knows every answer on these tasks."""
    from emolab.catalog import votes

    origins = [mine.origin(annotation.id) for task in tasks for annotation in task.annotations]
    return len(votes.contents(conn, origins)) == len(set(origins))
