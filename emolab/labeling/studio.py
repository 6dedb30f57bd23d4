"""The Label Studio client: every request emolab makes, as methods with frozen records in and out.

The SDK is used where it serves (projects, imports). Where it cannot (staged uploads, filtered lists, deletes in bulk),
and for small reads that are not worth the second it takes to import, the same HTTP client is used directly. Nothing
that writes is ever sent twice by itself: after an error with ``outcome_unknown`` the caller looks up what happened.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError, MissingExtra, ServerError
from emolab.labeling.studio_records import (
    FileUpload,
    RemoteAnnotation,
    RemoteProject,
    RemoteTask,
    RemoteUser,
    annotation_of,
    task_of,
)

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from emolab.labeling.studio_http import Http

UID = "emolab_uid"
FILES_PER_REQUEST = 100  # the server refuses the 101st with a 500
UIDS_PER_LOOKUP = 50  # 50 sha256 ids keep the URL below 4 KB
PAGE = 500
_ONCE: Any = {"max_retries": 0}
# ``include`` also filters the fields of the nested annotations: without these names they come without their answers.
_ANSWERS = (
    "annotations,result,completed_by,was_cancelled,ground_truth,lead_time,parent_prediction,updated_by,created_at"
)
_FIELDS = f"id,updated_at,data,{_ANSWERS}"


def connect(url: str, token: str, *, timeout: float = 120.0) -> Studio:
    """Return a client for the server at ``url``; personal access and legacy tokens both work.

    Nothing is sent yet: call ``whoami`` to check URL and token. Raises ``ConfigError`` for a token that cannot work and
    ``MissingExtra`` without the ``label`` extra.
    """
    try:
        from emolab.labeling.studio_http import Http
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingExtra("httpx", "label") from None
    return Studio(Http(url, token, timeout=timeout))


class Studio:
    """One server seen with one user's token; a context manager."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.url = http.url

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    @functools.cached_property
    def sdk(self) -> LabelStudio:
        """The official SDK on emolab's HTTP client (which replaces the placeholder token on each request)."""
        try:
            from label_studio_sdk import LabelStudio
        except ModuleNotFoundError as error:
            if error.name != "label_studio_sdk":
                raise
            raise MissingExtra("label-studio-sdk", "label") from None
        make: Any = LabelStudio  # its constructor has no annotations
        client: LabelStudio = make(base_url=self.url, api_key="set-by-emolab", httpx_client=self.http.client)
        return client

    # -- who and where -------------------------------------------------------------------------------------------

    def whoami(self) -> RemoteUser:
        """Return the user of this token; the cheapest way to check URL and token."""
        user = self.http.get("/api/current-user/whoami")
        return RemoteUser(id=int(user["id"]), email=str(user["email"]), username=str(user.get("username") or ""))

    def users(self) -> dict[int, RemoteUser]:
        """Return all users of the organization by id."""
        return {
            int(u["id"]): RemoteUser(id=int(u["id"]), email=str(u["email"]), username=str(u.get("username") or ""))
            for u in self.http.get("/api/users/")
        }

    def version(self) -> str:
        """Return the server's release, for example ``1.23.2``."""
        return str(self.http.get("/api/version")["release"])

    @functools.cached_property
    def server_id(self) -> str:
        """A stable name of the server's database (16 hex digits): the same after a restart, a move or another port."""
        organizations = self.http.get("/api/organizations/")
        first = min(organizations, key=lambda o: int(o["id"]))
        return hashlib.sha256(f"{first['id']} {first['created_at']}".encode()).hexdigest()[:16]

    def server_time(self) -> datetime:
        """Return the server's clock (UTC, whole seconds) as of its last answer; asks when there was none."""
        if self.http.server_time is None:
            self.http.get("/api/version")
        if self.http.server_time is None:
            raise ServerError(f"{self.url} sends no Date header, so its clock is unknown.")
        return self.http.server_time

    # -- projects ------------------------------------------------------------------------------------------------

    def create_project(
        self,
        title: str,
        label_config: str,
        *,
        maximum_annotations: int = 1,
        sampling: str = "Sequential sampling",
        show_predictions: bool = False,
        description: str = "",
        instruction: str = "",
        skip_queue: str = "IGNORE_SKIPPED",
    ) -> RemoteProject:
        """Create a project; ``title`` has 3 to 50 characters."""
        if not 3 <= len(title) <= 50:
            raise DataError(f'The project name "{title}" has {len(title)} characters, expected 3 to 50.')
        with self._explained():
            created = self.sdk.projects.create(
                title=title,
                label_config=label_config,
                maximum_annotations=maximum_annotations,
                sampling=sampling,
                show_collab_predictions=show_predictions,
                description=description,
                expert_instruction=instruction,
                show_instruction=bool(instruction),
                skip_queue=skip_queue,
                request_options=_ONCE,
            )
        return self.project(int(created.id or 0))

    def project(self, project: int) -> RemoteProject:
        """Return one project; ``ServerError`` with status 404 when it does not exist."""
        return _project_of(self.http.get(f"/api/projects/{project}/"))

    def projects(self) -> list[RemoteProject]:
        """Return all projects this user sees, oldest first."""
        rows: list[Any] = []
        page = 1
        while True:
            answer = self.http.get("/api/projects/", page=page, page_size=100)
            rows += answer["results"]
            if not answer.get("next"):
                return sorted((_project_of(r) for r in rows), key=lambda p: p.id)
            page += 1

    def find_project(self, title: str) -> RemoteProject | None:
        """Return the oldest project with exactly this title, or ``None``."""
        return next((p for p in self.projects() if p.title == title), None)

    def update_project(self, project: int, **fields: object) -> RemoteProject:
        """Change fields of a project (Label Studio's names, for example ``maximum_annotations=3``) and return it."""
        with self._explained():
            self.sdk.projects.update(project, request_options=_ONCE, **fields)  # type: ignore[arg-type]
        return self.project(project)

    def delete_project(self, project: int) -> None:
        """Delete a project with all its tasks and annotations (uploaded files stay on the server's disk)."""
        with self._explained():
            self.sdk.projects.delete(project, request_options=_ONCE)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, object]]) -> list[int]:
        """Create tasks in one transaction of the server and return their ids in order. Never retried."""
        with self._explained():
            answer = self.sdk.projects.import_tasks(
                project,
                request=tasks,  # type: ignore[arg-type]
                return_task_ids=True,
                request_options=_ONCE,
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

    # -- predictions ---------------------------------------------------------------------------------------------

    def import_predictions(self, project: int, predictions: Sequence[Mapping[str, object]]) -> int:
        """Store predictions in bulk and return how many the server kept: it drops invalid labels in silence."""
        with self._explained():
            answer = self.sdk.projects.import_predictions(
                project,
                request=predictions,  # type: ignore[arg-type]
                request_options=_ONCE,
            )
        return int(answer.created or 0)

    def set_model_version(self, project: int, version: str) -> None:
        """Make the predictions of this model version the ones that order the queue."""
        self.update_project(project, model_version=version)

    def delete_model_version(self, project: int, version: str) -> None:
        """Delete all predictions of one model version."""
        self.http.call("DELETE", f"/api/projects/{project}/model-versions", json={"model_version": version})

    # -- annotations ---------------------------------------------------------------------------------------------

    def create_annotation(
        self,
        task: int,
        result: Sequence[Mapping[str, object]],
        *,
        lead_time: float | None = None,
        unique_id: str | None = None,
        was_cancelled: bool = False,
    ) -> RemoteAnnotation:
        """Answer a task as the user of this token; a repeated ``unique_id`` is refused with status 409."""
        body: dict[str, object] = {"result": list(result), "was_cancelled": was_cancelled}
        if lead_time is not None:
            body["lead_time"] = lead_time
        if unique_id is not None:
            body["unique_id"] = unique_id
        return annotation_of(self.http.call("POST", f"/api/tasks/{task}/annotations/", json=body), task)

    def update_annotation(self, annotation: int, **fields: object) -> RemoteAnnotation:
        """Change an annotation (for example ``result=[...]``) and return it."""
        return annotation_of(self.http.call("PATCH", f"/api/annotations/{annotation}/", json=fields))

    def delete_annotation(self, annotation: int) -> None:
        """Delete one annotation."""
        self.http.call("DELETE", f"/api/annotations/{annotation}/")

    def next_task(self, project: int) -> RemoteTask | None:
        """Return the task this user would be shown next, or ``None`` when the queue is empty."""
        try:
            return task_of(self.http.call("GET", f"/api/projects/{project}/next/"))
        except ServerError as error:
            if error.status == 404:
                return None
            raise

    # -- everything at once --------------------------------------------------------------------------------------

    def snapshot(self, project: int, *, deadline: float = 600.0) -> list[RemoteTask]:
        """Return every annotated or unannotated task through an export snapshot: the cheapest full pull.

        The snapshot is deleted from the server afterwards. ``deadline`` is in seconds.
        """
        base = f"/api/projects/{project}/exports"
        created = self.http.call("POST", f"{base}/", json={"title": "emolab pull"})
        path = f"{base}/{created['id']}"
        try:
            end = time.monotonic() + deadline
            state = created
            while state["status"] not in {"completed", "failed"}:
                if time.monotonic() > end:
                    raise ServerError(f"{self.url} did not finish an export within {deadline:.0f} s.", retryable=True)
                time.sleep(0.2)
                state = self.http.get(path)
            if state["status"] == "failed":
                raise ServerError(f"{self.url} failed to export project {project}.", retryable=True)
            return [task_of(raw) for raw in self.http.get(f"{path}/download", exportType="JSON")]
        finally:
            with contextlib.suppress(ServerError):
                self.http.call("DELETE", path)

    # -- inside --------------------------------------------------------------------------------------------------

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

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Give what the SDK raises the same words as every other request."""
        from label_studio_sdk.core.api_error import ApiError

        from emolab.labeling.studio_http import explained, status_error

        try:
            with explained(self.url, self.http.kind):
                yield
        except ApiError as error:
            raise status_error(self.url, self.http.kind, error.status_code or 0, error.body) from None


def _item(column: str, operator: str, value: object, kind: str) -> dict[str, object]:
    return {"filter": f"filter:{column}", "operator": operator, "type": kind, "value": value}


def _project_of(raw: Mapping[str, Any]) -> RemoteProject:
    return RemoteProject(
        id=int(raw["id"]),
        title=str(raw.get("title") or ""),
        label_config=str(raw.get("label_config") or ""),
        maximum_annotations=int(raw.get("maximum_annotations") or 1),
        sampling=str(raw.get("sampling") or ""),
        show_predictions=bool(raw.get("show_collab_predictions")),
        model_version=str(raw.get("model_version") or ""),
        description=str(raw.get("description") or ""),
        task_number=int(raw.get("task_number") or 0),
        finished_task_number=int(raw.get("finished_task_number") or 0),
        annotation_number=int(raw.get("total_annotations_number") or 0),
        skipped_number=int(raw.get("skipped_annotations_number") or 0),
    )
