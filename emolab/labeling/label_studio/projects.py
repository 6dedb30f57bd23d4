"""Projects on a Label Studio server: made, found, changed and deleted."""

from __future__ import annotations

import base64

from emolab.errors import DataError
from emolab.labeling.label_studio.connection import ONCE, Connection
from emolab.labeling.label_studio.records import RemoteBackend, RemoteProject, RemoteTask, backend_of, task_of
from emolab.labeling.label_studio.response_shapes import JsonObject


class Projects(Connection):
    """What a client does with projects."""

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
        request = "POST /api/projects/"
        with self._explained(request):
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
                request_options=ONCE,
            )
        return self.project(self._answer(created, request).row().key("id"))

    def project(self, project: int) -> RemoteProject:
        """Return one project; ``ServerError`` with status 404 when it does not exist."""
        return _project_of(self.http.ask(f"/api/projects/{project}/").row())

    def projects(self, title: str | None = None) -> list[RemoteProject]:
        """Return all projects this user sees, or those with exactly this title, oldest first."""
        found: dict[int, RemoteProject] = {}
        page = 1
        while True:
            answer = self.http.ask("/api/projects/", page=page, page_size=100, title=title).row()
            fresh = {made.id: made for made in map(_project_of, answer.rows("results"))}
            if answer.has("next") and not fresh.keys() - found.keys():
                raise answer.wrong("next", "nothing, for this page has no other projects than the one before")
            found |= fresh
            if not answer.maybe_text("next"):
                return [p for _, p in sorted(found.items()) if title is None or p.title == title]
            page += 1

    def find_project(self, title: str) -> RemoteProject | None:
        """Return the oldest project with exactly this title, or ``None``."""
        return next(iter(self.projects(title)), None)

    def update_project(self, project: int, **fields: object) -> RemoteProject:
        """Change fields of a project (Label Studio's names, for example ``maximum_annotations=3``) and return it."""
        with self._explained(f"PATCH /api/projects/{project}/"):
            self.sdk.projects.update(project, request_options=ONCE, **fields)  # type: ignore[arg-type]
        return self.project(project)

    def connect_backend(self, project: int, *, title: str, url: str, password: str | None) -> int:
        """Let the ML backend at ``url`` answer for a project under this ``title``, once; its number on the server.

        ``password``: a key, which Label Studio sends as HTTP Basic. Raises :class:`ServerError` (status 400, with what
        Label Studio says) when the backend does not answer.
        """
        access = {"auth_method": "NONE"}
        if password is not None:
            access = {"auth_method": "BASIC_AUTH", "basic_auth_user": "emolab", "basic_auth_pass": password}
        body = {"project": project, "title": title, "url": url, "is_interactive": False, **access}
        known = [one.id for one in self.backends(project) if one.title == title]
        if known:
            number = known[0]
            self.http.call("PATCH", f"/api/ml/{number}", json=body)
        else:
            number = int(self.http.send("POST", "/api/ml/", json=body).row().key("id"))
        self._let_webhooks_in(project, f"{url}/webhook", password)
        return number

    def backends(self, project: int) -> list[RemoteBackend]:
        """Return the ML backends of a project; Label Studio asks each of them how it is."""
        return [backend_of(row) for row in self.http.ask("/api/ml/", project=project).rows()]

    def try_backend(self, backend: int) -> tuple[RemoteTask, list[JsonObject]]:
        """Let Label Studio ask an ML backend about a task that it draws; returns both, and nothing is stored.

        Raises :class:`ServerError` (status 500) when no answer came.
        """
        answer = self.http.send("POST", f"/api/ml/{backend}/predict/test", params={"random": "true"}).row()
        return task_of(answer.row("task"), need=("data",)), answer.rows("response")

    def _let_webhooks_in(self, project: int, url: str, password: str | None) -> None:
        """Let the webhooks that Label Studio made for its backend carry the key, and no answers: a pull reads those."""
        headers = {}
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"emolab:{password}".encode()).decode()
        for row in self.http.ask("/api/webhooks/", project=project).rows():
            if row.maybe_text("url") == url:
                change = {"url": url, "headers": headers, "send_payload": False}
                self.http.call("PATCH", f"/api/webhooks/{row.key('id')}/", json=change)

    def delete_project(self, project: int) -> None:
        """Delete a project with all its tasks and annotations (uploaded files stay on the server's disk)."""
        with self._explained(f"DELETE /api/projects/{project}/"):
            self.sdk.projects.delete(project, request_options=ONCE)


def _project_of(raw: JsonObject) -> RemoteProject:
    return RemoteProject(
        id=raw.key("id"),
        title=raw.maybe_text("title"),
        label_config=raw.maybe_text("label_config"),
        maximum_annotations=raw.maybe_key("maximum_annotations") or 1,
        sampling=raw.maybe_text("sampling"),
        show_predictions=raw.flag("show_collab_predictions"),
        model_version=raw.maybe_text("model_version"),
        description=raw.maybe_text("description"),
        instruction=raw.maybe_text("expert_instruction"),
        task_number=raw.number("task_number"),
        finished_task_number=raw.number("finished_task_number"),
        annotation_number=raw.number("total_annotations_number"),
        skipped_number=raw.number("skipped_annotations_number"),
    )
