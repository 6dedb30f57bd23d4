"""Projects on a Label Studio server: made, found, changed and deleted."""

from __future__ import annotations

from emolab.errors import DataError
from emolab.labeling.label_studio.connection import ONCE, Connection
from emolab.labeling.label_studio.records import RemoteProject
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
