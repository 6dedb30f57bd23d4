"""Projects on a Label Studio server: made, found, changed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emolab.errors import DataError
from emolab.labeling.studio_connection import ONCE, Connection
from emolab.labeling.studio_records import RemoteProject


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
                request_options=ONCE,
            )
        return self.project(int(created.id or 0))

    def project(self, project: int) -> RemoteProject:
        """Return one project; ``ServerError`` with status 404 when it does not exist."""
        return _project_of(self.http.get(f"/api/projects/{project}/"))

    def projects(self, title: str | None = None) -> list[RemoteProject]:
        """Return all projects this user sees, or those with exactly this title, oldest first."""
        rows: list[Any] = []
        page = 1
        while True:
            answer = self.http.get("/api/projects/", page=page, page_size=100, title=title)
            rows += answer["results"]
            if not answer.get("next"):
                found = {p.id: p for p in map(_project_of, rows) if title is None or p.title == title}
                return [found[number] for number in sorted(found)]
            page += 1

    def find_project(self, title: str) -> RemoteProject | None:
        """Return the oldest project with exactly this title, or ``None``."""
        return next(iter(self.projects(title)), None)

    def update_project(self, project: int, **fields: object) -> RemoteProject:
        """Change fields of a project (Label Studio's names, for example ``maximum_annotations=3``) and return it."""
        with self._explained():
            self.sdk.projects.update(project, request_options=ONCE, **fields)  # type: ignore[arg-type]
        return self.project(project)

    def delete_project(self, project: int) -> None:
        """Delete a project with all its tasks and annotations (uploaded files stay on the server's disk)."""
        with self._explained():
            self.sdk.projects.delete(project, request_options=ONCE)


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
