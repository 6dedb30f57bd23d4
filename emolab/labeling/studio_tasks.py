"""Tasks on a Label Studio server: sent with their files, looked up, listed with their answers, deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from emolab.errors import ServerError
from emolab.labeling.studio_connection import ONCE, Connection
from emolab.labeling.studio_records import FileUpload, RemoteTask, task_of

UID = "emolab_uid"
FILES_PER_REQUEST = 100  # the server refuses the 101st with a 500
UIDS_PER_LOOKUP = 50  # 50 sha256 ids keep the URL below 4 KB
PAGE = 500
# ``include`` also filters the fields of the nested annotations: without these names they come without their answers.
_ANSWERS = (
    "annotations,result,completed_by,was_cancelled,ground_truth,lead_time,parent_prediction,updated_by,created_at"
)
_FIELDS = f"id,updated_at,data,{_ANSWERS}"


class Tasks(Connection):
    """What a client does with tasks."""

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, object]]) -> list[int]:
        """Create tasks in one transaction of the server and return their ids in order. Never retried."""
        with self._explained():
            answer = self.sdk.projects.import_tasks(
                project,
                request=tasks,  # type: ignore[arg-type]
                return_task_ids=True,
                request_options=ONCE,
            )
        ids = [int(i) for i in getattr(answer, "task_ids", None) or []]
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
            answer = self.http.call(
                "POST", f"/api/projects/{project}/import", params={"commit_to_project": "false"}, files=parts
            )
            ids = [int(i) for i in answer["file_upload_ids"]]
            found = {f.id: f for f in self.file_uploads(project, ids)}
            missing = [i for i in ids if i not in found]
            if missing or len(ids) != len(chunk):
                raise ServerError(f"{self.url} kept {len(found)} of {len(chunk)} uploaded files.", retryable=True)
            staged += [found[i] for i in ids]
        return staged

    def file_uploads(self, project: int, ids: Sequence[int] | None = None) -> list[FileUpload]:
        """Return staged files of this user by id; ``None``: all of them."""
        params: dict[str, object] = {"all": "true"} if ids is None else {"ids": json.dumps(list(ids))}
        rows = self.http.get(f"/api/projects/{project}/file-uploads", **params)
        return [FileUpload(id=int(r["id"]), path="/data/" + str(r["file"]).removeprefix("/data/")) for r in rows]

    def lookup_tasks(self, project: int, uids: Sequence[str]) -> dict[str, list[RemoteTask]]:
        """Return the tasks that carry these sample ids, lowest task id first; ids without a task are left out."""
        found: dict[str, list[RemoteTask]] = {}
        for start in range(0, len(uids), UIDS_PER_LOOKUP):
            chunk = list(uids[start : start + UIDS_PER_LOOKUP])
            only = [_item(f"tasks:data.{UID}", "in_list", chunk, "List")]
            for page in self._pages(project, only, include=_FIELDS):
                for task in page:
                    if task.uid is not None:
                        found.setdefault(task.uid, []).append(task)
        return found

    def changed_tasks(self, project: int, since: str | datetime | None = None) -> Iterator[list[RemoteTask]]:
        """Yield pages of tasks with their annotations, by id, that changed after ``since`` (``None``: all tasks).

        Sees annotations made, edited, skipped or deleted; not deleted tasks: compare ``list_task_ids``.
        """
        only: list[dict[str, object]] = []
        if since is not None:
            stamp = since.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(since, datetime) else since
            only = [_item("tasks:updated_at", "greater", stamp, "Datetime")]
        yield from self._pages(project, only, include=_FIELDS)

    def list_task_ids(self, project: int) -> dict[int, str]:
        """Return all task ids with their ``updated_at``; the cheap listing to find deleted tasks."""
        pages = self._pages(project, [], include="id,updated_at", size=2000)
        return {task.id: task.updated_at for page in pages for task in page}

    def task(self, task: int) -> RemoteTask:
        """Return one task with all its annotations, skipped ones too."""
        return task_of(self.http.get(f"/api/tasks/{task}/"))

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

    def _pages(
        self, project: int, only: Sequence[Mapping[str, object]], *, include: str, size: int = PAGE
    ) -> Iterator[list[RemoteTask]]:
        """Yield pages of tasks in order of id; stable while others add or delete tasks (no page numbers)."""
        last = 0
        while True:
            items = [*only, _item("tasks:id", "greater", last, "Number")]
            query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
            answer = self.http.get(
                "/api/tasks/",
                project=project,
                page_size=size,
                fields="all",
                include=include,
                query=json.dumps(query, separators=(",", ":")),
            )
            page = [task_of(raw) for raw in answer["tasks"]]
            if page:
                yield page
                last = page[-1].id
            if len(page) < size:
                return


def _item(column: str, operator: str, value: object, kind: str) -> dict[str, object]:
    return {"filter": f"filter:{column}", "operator": operator, "type": kind, "value": value}
