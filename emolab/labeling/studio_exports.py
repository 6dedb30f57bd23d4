"""Export snapshots on a Label Studio server: made, read, listed and deleted."""

from __future__ import annotations

import contextlib
import time

from emolab.errors import ServerError
from emolab.labeling.studio_connection import Connection
from emolab.labeling.studio_records import RemoteExport, RemoteTask, task_of


class Exports(Connection):
    """What a client does with export snapshots."""

    def snapshot(self, project: int, *, title: str = "emolab pull", deadline: float = 600.0) -> list[RemoteTask]:
        """Return every annotated or unannotated task through an export snapshot: the cheapest full pull.

        The snapshot is deleted from the server afterwards. ``deadline`` is in seconds.
        """
        base = f"/api/projects/{project}/exports"
        created = self.http.call("POST", f"{base}/", json={"title": title})
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

    def exports(self, project: int) -> list[RemoteExport]:
        """Return the newest 100 exports of a project."""
        return [
            RemoteExport(
                id=int(raw["id"]),
                title=str(raw.get("title") or ""),
                created_at=str(raw["created_at"]),
                finished=raw.get("status") in {"completed", "failed"},
            )
            for raw in self.http.get(f"/api/projects/{project}/exports/")
        ]

    def delete_export(self, project: int, export: int) -> None:
        """Delete an export with its file; one that is gone already is fine."""
        try:
            self.http.call("DELETE", f"/api/projects/{project}/exports/{export}")
        except ServerError as error:
            if error.status != 404:
                raise
