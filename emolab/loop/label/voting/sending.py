"""Answers of the app are written through to Label Studio, each as its person's annotation, each once.

1. Before a request an answer is ``sending``. Its id goes along as the annotation's ``unique_id``, which the server
   takes once, and in the result.
2. Where the reply was lost the next try is refused by that id (409), and the annotation is looked up.
3. An answer that was taken back is sent first, where it may be on the server already, and then deleted there.

The ledger gets the votes from the server, by the next pull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emolab.catalog import Catalog
    from emolab.catalog.campaign.app_answers import AppAnswer
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteAnnotation
    from emolab.loop.label.voting.studio_users import StudioUsers
    from emolab.workspace import Workspace

#: The lock of whoever writes through; two servers of one workspace take turns.
LOCK = "app answers"
#: Statuses of a server that will never take an answer: what it is about is gone, or it does not fit the form.
_NEVER = (400, 404, 410, 422)


@dataclass(frozen=True, slots=True)
class SentAnswers:
    """How many answers were written through, and refused by the server for ever."""

    sent: int = 0
    refused: int = 0


def send_waiting(workspace: Workspace, studio: Studio) -> SentAnswers:
    """Write everything through that waits, in the order it was given.

    Raises :class:`ServerError` where the server is away or lets people not be signed up: what waits goes on waiting.
    """
    from emolab.catalog.campaign import app_answers, remotes
    from emolab.loop.label.voting.studio_users import StudioUsers
    from emolab.loop.operate.serve_people import people_file

    with workspace.catalog() as catalog:
        with catalog.connect() as conn:
            if not app_answers.waiting(conn):
                return SentAnswers()
        with workspace.lock(LOCK, wait=10.0):
            with catalog.connect() as conn:
                todo = app_answers.waiting(conn)
                known = {p.pk: p for p in remotes.projects(conn, server=studio.server_id)}
            todo = [one for one in todo if one.project in known]  # others are for another server
            users = StudioUsers(catalog, people_file(workspace), studio)
            sending = _Sending(catalog, studio, users, known, workspace.config.project.modality)
            return sending.all(todo)


@dataclass(frozen=True)
class _Sending:
    catalog: Catalog
    studio: Studio
    users: StudioUsers
    projects: Mapping[int, Project]
    modality: str

    def all(self, answers: Sequence[AppAnswer]) -> SentAnswers:
        """Bring every answer to the server; one that the server stumbles over (500) keeps no other one back."""
        done: list[bool] = []
        stumbled: ServerError | None = None
        for answer in answers:
            try:
                done.append(self.send(answer))
            except ServerError as error:
                if error.status != 500:
                    raise
                stumbled = stumbled or error
        if stumbled is not None:
            raise stumbled
        return SentAnswers(sum(done), len(done) - sum(done))

    def send(self, answer: AppAnswer) -> bool:
        """Bring one answer to the server; ``False`` when the server will never take it."""
        from emolab.catalog.campaign import app_answers

        try:
            if answer.undoes is not None:
                self._take_back(answer)
                return True
            with self.catalog.begin() as tx:
                if not app_answers.settle(tx, answer.id, "sending", before=app_answers.WAITING):
                    return True  # somebody else was quicker
            made = self._created(answer)
        except ServerError as error:
            if error.status not in _NEVER or error.outcome_unknown:
                raise
            with self.catalog.begin() as tx:
                why = f"{error.message}"[:1000]
                app_answers.settle(tx, answer.id, "refused", before=app_answers.WAITING, problem=why)
            return False
        with self.catalog.begin() as tx:
            app_answers.settle(tx, answer.id, "sent", before=app_answers.WAITING, annotation=made.id)
        return True

    def _created(self, answer: AppAnswer) -> RemoteAnnotation:
        """The annotation of this answer, made now or by an earlier try."""
        task = self._task(answer)
        user = self.users.of(answer.person)
        try:
            return self.studio.create_annotation(
                task,
                result_of(answer, self.modality),
                lead_time=answer.seconds,
                unique_id=answer.id,
                was_cancelled=answer.skipped,
                completed_by=user,
            )
        except ServerError as error:
            if error.status == 404 and not error.outcome_unknown:
                self._gone(answer)
            if error.status != 409:
                raise
        return self._found(answer, task)

    def _gone(self, answer: AppAnswer) -> None:
        """Note that the task is not on the server any more, so that nobody is asked about it again."""
        from emolab.catalog.campaign import remotes

        with self.catalog.begin() as tx:
            remotes.set_state(tx, self.projects[answer.project], [answer.sample_id], "deleted")

    def _found(self, answer: AppAnswer, task: int) -> RemoteAnnotation:
        from emolab.labeling.label_studio.retry import patiently

        for made in patiently(lambda: self.studio.task(task)).annotations:
            if any(isinstance(part, dict) and part.get("id") == answer.id for part in made.result):
                return made
        raise ServerError(
            f"{self.studio.url} knows an answer of {answer.person} to task {task} already, but does not show it.",
            hint="It was changed or deleted there by somebody else.",
            status=404,
        )

    def _task(self, answer: AppAnswer) -> int:
        """The task of the sample on the server. Raises :class:`ServerError` (404) when it is gone."""
        from emolab.catalog.campaign import remotes

        with self.catalog.connect() as conn:
            found = remotes.task_of(conn, self.projects[answer.project], answer.sample_id)
        if found is None:
            raise ServerError("The task is not on the server any more.", status=404)
        return found

    def _take_back(self, undo: AppAnswer) -> None:
        """Delete the annotation of the answer that ``undo`` takes back, where there may be one."""
        from emolab.catalog.campaign import app_answers

        with self.catalog.connect() as conn:
            answer = app_answers.find(conn, undo.undoes or "")
        if answer is not None and answer.state in ("sending", "sent"):
            annotation = answer.annotation
            if annotation is None:
                annotation = self._created(answer).id
                with self.catalog.begin() as tx:
                    app_answers.settle(tx, answer.id, "sent", before=app_answers.WAITING, annotation=annotation)
            try:
                self.studio.delete_annotation(annotation)
            except ServerError as error:
                if error.status != 404:
                    raise
        with self.catalog.begin() as tx:
            app_answers.settle(tx, undo.id, "sent", before=app_answers.WAITING)


def result_of(answer: AppAnswer, modality: str) -> Sequence[Mapping[str, Any]]:
    """The parts of an answer as Label Studio's page would send them, with the answer's id as the first part's."""
    from emolab.labeling.answers import parse
    from emolab.labeling.form import controls

    if answer.label is None:
        parts = controls.answer("", modality=modality)
        parts[0]["value"] = {"choices": []}
    else:
        parts = controls.answer(
            answer.label, modality=modality, second=answer.second, confidence=answer.stars, also=answer.also
        )
    form, first = answer.form, parts[0]
    first["id"] = answer.id
    first["origin"] = parse.MANUAL
    if form is not None:
        if form.shown:
            first["origin"] = parse.UNCHANGED if form.label == answer.label and not answer.also else parse.CHANGED
        first["meta"] = {parse.MARK if form.shown else parse.HIDDEN: form.label, parse.SHARE: form.share}
    for number, part in enumerate(parts[1:], 1):
        part.update(id=f"{answer.id}-{number}", origin=parse.MANUAL)
    return parts
