"""Tasks on a Label Studio server: sent with their files, looked up, listed with their answers, deleted."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from emolab.errors import ServerError
from emolab.labeling.label_studio.connection import ONCE
from emolab.labeling.label_studio.projects import Projects
from emolab.labeling.label_studio.records import WHOLE, FileUpload, RemoteProject, RemoteTask, task_of
from emolab.labeling.label_studio.response_shapes import JsonObject

UID = "emolab_uid"
FILES_PER_REQUEST = 100  # the server refuses the 101st with a 500
UIDS_PER_LOOKUP = 50  # 50 sha256 ids keep the URL below 4 KB
PAGE = 500
# ``include`` also filters the fields of the nested annotations: without these names they come without their answers.
_ANSWERS = (
    "annotations,result,completed_by,was_cancelled,ground_truth,lead_time,parent_prediction,parent_annotation,updated_by,"
    "created_at"
)
_FIELDS = f"id,updated_at,data,total_annotations,{_ANSWERS}"


class Tasks(Projects):
    """What a client does with tasks."""

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, object]]) -> list[int]:
        """Create tasks in one transaction of the server and return their ids in order. Never retried."""
        request = f"POST /api/projects/{project}/import"
        with self._explained(request):
            answer = self.sdk.projects.import_tasks(
                project,
                request=tasks,  # type: ignore[arg-type]
                return_task_ids=True,
                request_options=ONCE,
            )
        ids = self._answer(answer, request).row().keys_of("task_ids")
        if len(ids) != len(tasks):
            raise ServerError(
                f"{self.url} took {len(tasks)} tasks but named {len(ids)}.", outcome_unknown=True, status=201
            )
        return ids

    def upload_files(self, project: int, files: Sequence[tuple[str, bytes, str]]) -> list[FileUpload]:
        """Stage ``(name, bytes, mime)`` without making tasks of them and return them in order.

        At most 100 files travel in one request. Files uploaded before an error stay on the server unused.
        """
        staged: list[FileUpload] = []
        for start in range(0, len(files), FILES_PER_REQUEST):
            chunk = files[start : start + FILES_PER_REQUEST]
            parts = [(f"file{i}", (name, data, mime)) for i, (name, data, mime) in enumerate(chunk)]
            answer = self.http.send(
                "POST", f"/api/projects/{project}/import", params={"commit_to_project": "false"}, files=parts
            )
            ids = answer.row().keys_of("file_upload_ids")
            found = {f.id: f for f in self.file_uploads(project, ids)}
            missing = [i for i in ids if i not in found]
            if missing or len(ids) != len(chunk):
                raise ServerError(f"{self.url} kept {len(found)} of {len(chunk)} uploaded files.", retryable=True)
            staged += [found[i] for i in ids]
        return staged

    def file_uploads(self, project: int, ids: Sequence[int] | None = None) -> list[FileUpload]:
        """Return staged files of this user by id; ``None``: all of them."""
        params: dict[str, object] = {"all": "true"} if ids is None else {"ids": json.dumps(list(ids))}
        rows = self.http.ask(f"/api/projects/{project}/file-uploads", **params).rows()
        return [FileUpload(id=r.key("id"), path="/data/" + r.text("file").removeprefix("/data/")) for r in rows]

    def lookup_tasks(self, project: int, uids: Sequence[str]) -> dict[str, list[RemoteTask]]:
        """Return the tasks that carry these sample ids, lowest task id first; ids without a task are left out."""
        found: dict[str, list[RemoteTask]] = {}
        for start in range(0, len(uids), UIDS_PER_LOOKUP):
            chunk = list(uids[start : start + UIDS_PER_LOOKUP])
            only = [_item(f"tasks:data.{UID}", "in_list", chunk, "List")]
            for page in self.pages(project, only, include=_FIELDS):
                for task in page:
                    if task.uid is not None:
                        found.setdefault(task.uid, []).append(task)
        if set(uids) - found.keys():  # before "there is none" is believed
            self._check_listing(project)
        return found

    def changed_tasks(self, project: int, since: str | datetime | None = None) -> Iterator[list[RemoteTask]]:
        """Yield pages of tasks with their annotations, by id, that changed after ``since`` (``None``: all tasks).

        Sees annotations made, edited, skipped or deleted; not deleted tasks: compare ``list_task_ids``.
        """
        only: list[dict[str, object]] = []
        if since is not None:
            stamp = since.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(since, datetime) else since
            only = [_item("tasks:updated_at", "greater", stamp, "Datetime")]
        yield from self.pages(project, only, include=_FIELDS)

    def list_task_ids(self, project: int) -> dict[int, str]:
        """Return all task ids with their ``updated_at``; the cheap listing to find deleted tasks."""
        pages = self.pages(project, [], include="id,updated_at", size=2000)
        return {task.id: task.updated_at for page in pages for task in page}

    def task(self, task: int) -> RemoteTask:
        """Return one task with all its annotations, skipped ones too."""
        return task_of(self.http.ask(f"/api/tasks/{task}/").row(), need=WHOLE)

    def reopen_task(self, task: int, *, overlap: int) -> None:
        """Ask for more opinions on a finished task: ``overlap`` is the total number wanted."""
        self.http.call("PATCH", f"/api/tasks/{task}/", json={"overlap": overlap, "is_labeled": False})

    def delete_tasks(self, project: int, tasks: Sequence[int]) -> None:
        """Delete tasks with their annotations in one request; unknown ids are ignored."""
        if not tasks:
            return
        self.http.call(
            "POST",
            "/api/dm/actions/",
            params={"id": "delete_tasks", "project": project},
            json={"selectedItems": {"all": False, "included": list(tasks)}},
        )

    def pages(
        self,
        project: int,
        only: Sequence[Mapping[str, object]],
        *,
        include: str,
        size: int = PAGE,
        after: int = 0,
    ) -> Iterator[list[RemoteTask]]:
        """Yield pages of tasks with an id above ``after``, in order of id.

        Stable while others add or delete tasks (no page numbers). Raises ``ServerError`` when a page holds fewer tasks
        than it says there are, or when a listing of all tasks does not fit the project's own numbers.
        """
        whole = not only and not after
        before = self.project(project) if whole else None
        tasks = answers = 0
        more = True
        while more:
            page, more = self._page(project, only, include=include, size=size, after=after)
            if page:
                tasks += len(page)
                answers += sum(not answer.was_cancelled for task in page for answer in task.annotations)
                after = page[-1].id
                yield page
        if before is not None:
            self.check_complete(before, tasks, answers if "annotations" in include.split(",") else None)

    def check_complete(self, before: RemoteProject, tasks: int, answers: int | None) -> None:
        """Compare what a listing of a whole project held with the project's own numbers ``before`` and now.

        Tasks and answers come and go meanwhile, so the smaller of the two will do. Fewer are asked for again by whoever
        waits patiently, and then end the command: an empty or cut listing is no project without answers. More are
        believed: Label Studio does not count answers that an elder release stored without their project.
        """
        now = self.project(before.id)
        counts = [("tasks", tasks, before.task_number, now.task_number)]
        if answers is not None:
            counts.append(("answers", answers, before.annotation_number, now.annotation_number))
        for what, listed, then, today in counts:
            if listed < min(then, today):
                raise ServerError(
                    f"{self.url} listed {listed} {what} of project {before.id}, which has {today} by its own count.",
                    hint="Nothing was changed here. Run the command again; if it stays, look at the server's log.",
                    status=200,
                    retryable=True,
                )

    def _check_listing(self, project: int) -> None:
        """Raise unless the list of tasks and the project agree on how many tasks there are."""
        before = self.project(project)
        self.check_complete(before, self._ask(project, [], include="id", size=1).number("total"), None)

    def _page(
        self, project: int, only: Sequence[Mapping[str, object]], *, include: str, size: int, after: int
    ) -> tuple[list[RemoteTask], bool]:
        """The first ``size`` tasks with an id above ``after``, and whether there are more."""
        items = [*only, _item("tasks:id", "greater", after, "Number")]
        answer = self._ask(project, items, include=include, size=size)
        page = [task_of(raw, need=include.split(",")) for raw in answer.rows("tasks")]
        total = answer.number("total")
        if len(page) != min(total, size):
            raise ServerError(
                f"{self.url} listed {len(page)} tasks of project {project} where it says there are {total}.",
                hint="Nothing was changed here. Run the command again; if it stays, look at the server's log.",
                status=200,
                retryable=True,
            )
        if any(earlier >= later for earlier, later in itertools.pairwise([after, *(task.id for task in page)])):
            raise answer.wrong("tasks", f"tasks in order of id, all above {after}")
        return page, total > size

    def _ask(self, project: int, items: Sequence[Mapping[str, object]], *, include: str, size: int) -> JsonObject:
        query = {"filters": {"conjunction": "and", "items": list(items)}, "ordering": ["tasks:id"]}
        return self.http.ask(
            "/api/tasks/",
            project=project,
            page_size=size,
            fields="all",
            include=include,
            query=json.dumps(query, separators=(",", ":")),
        ).row()


def _item(column: str, operator: str, value: object, kind: str) -> dict[str, object]:
    return {"filter": f"filter:{column}", "operator": operator, "type": kind, "value": value}
