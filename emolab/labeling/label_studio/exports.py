"""Export snapshots on a Label Studio server: made, read, listed and deleted."""

from __future__ import annotations

import contextlib
import time

from emolab.errors import ServerError
from emolab.labeling.label_studio.records import WHOLE, RemoteExport, RemoteTask, task_of
from emolab.labeling.label_studio.tasks import Tasks


class Exports(Tasks):
    """What a client does with export snapshots."""

    def snapshot(self, project: int, *, title: str = "emolab pull", deadline: float = 600.0) -> list[RemoteTask]:
        """Return every annotated or unannotated task through an export snapshot: the cheapest full pull.

        The snapshot is deleted from the server afterwards. ``deadline`` is in seconds.
        """
        base = f"/api/projects/{project}/exports"
        before = self.project(project)
        state = self.http.send("POST", f"{base}/", json={"title": title}).row()
        path = f"{base}/{state.key('id')}"
        try:
            end = time.monotonic() + deadline
            while state.text("status") not in {"completed", "failed"}:
                if time.monotonic() > end:
                    raise ServerError(f"{self.url} did not finish an export within {deadline:.0f} s.", retryable=True)
                time.sleep(0.2)
                state = self.http.ask(path).row()
            if state.text("status") == "failed":
                raise ServerError(f"{self.url} failed to export project {project}.", retryable=True)
            tasks = [task_of(raw, need=WHOLE) for raw in self.http.ask(f"{path}/download", exportType="JSON").rows()]
            self.check_complete(before, len(tasks), sum(not a.was_cancelled for t in tasks for a in t.annotations))
            return tasks
        finally:
            with contextlib.suppress(ServerError):
                self.http.call("DELETE", path)

    def exports(self, project: int) -> list[RemoteExport]:
        """Return the newest 100 exports of a project."""
        return [
            RemoteExport(
                id=raw.key("id"),
                title=raw.maybe_text("title"),
                created_at=raw.text("created_at"),
                finished=raw.text("status") in {"completed", "failed"},
            )
            for raw in self.http.ask(f"/api/projects/{project}/exports/").rows()
        ]

    def delete_export(self, project: int, export: int) -> None:
        """Delete an export with its file; one that is gone already is fine."""
        try:
            self.http.call("DELETE", f"/api/projects/{project}/exports/{export}")
        except ServerError as error:
            if error.status != 404:
                raise
