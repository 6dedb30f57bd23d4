"""Annotations on a Label Studio server, and the predictions that order the queue people answer from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emolab.errors import ServerError
from emolab.labeling.label_studio.connection import ONCE
from emolab.labeling.label_studio.projects import Projects
from emolab.labeling.label_studio.records import (
    RemoteAnnotation,
    RemotePrediction,
    RemoteTask,
    annotation_of,
    task_of,
)
from emolab.labeling.label_studio.response_shapes import JsonObject


class Annotations(Projects):
    """What a client does with predictions and annotations."""

    def import_predictions(self, project: int, predictions: Sequence[Mapping[str, object]]) -> int:
        """Store predictions in bulk and return how many the server kept: it drops invalid labels silently."""
        request = f"POST /api/projects/{project}/import/predictions"
        with self._explained(request):
            answer = self.sdk.projects.import_predictions(
                project,
                request=predictions,  # type: ignore[arg-type]
                request_options=ONCE,
            )
        return self._answer(answer, request).row().number("created")

    def predictions(self, project: int) -> list[RemotePrediction]:
        """Return all predictions of a project."""
        return [_prediction(row) for row in self.http.ask("/api/predictions/", project=project).rows()]

    def prediction(self, prediction: int) -> list[object]:
        """Return the result of one prediction; ``ServerError`` with status 404 when it is gone."""
        return _result(self.http.ask(f"/api/predictions/{prediction}/").row())

    def predictions_of(self, task: int) -> list[RemotePrediction]:
        """Return the predictions stored for a task, the oldest first."""
        found = [_prediction(row) for row in self.http.ask("/api/predictions/", task=task).rows()]
        return sorted(found, key=lambda one: one.id)

    def set_model_version(self, project: int, version: str) -> None:
        """Make the predictions of this model version the ones that order the queue."""
        self.update_project(project, model_version=version)

    def delete_model_version(self, project: int, version: str) -> None:
        """Delete all predictions of one model version."""
        self.http.call("DELETE", f"/api/projects/{project}/model-versions", json={"model_version": version})

    def create_annotation(
        self,
        task: int,
        result: Sequence[Mapping[str, object]],
        *,
        lead_time: float | None = None,
        unique_id: str | None = None,
        was_cancelled: bool = False,
        completed_by: int | None = None,
    ) -> RemoteAnnotation:
        """Answer a task as the user of this token, or as ``completed_by``.

        A repeated ``unique_id`` is refused with status 409.
        """
        body: dict[str, object] = {"result": list(result), "was_cancelled": was_cancelled}
        if lead_time is not None:
            body["lead_time"] = lead_time
        if unique_id is not None:
            body["unique_id"] = unique_id
        if completed_by is not None:
            body["completed_by"] = completed_by
        return annotation_of(self.http.send("POST", f"/api/tasks/{task}/annotations/", json=body).row(), task)

    def update_annotation(self, annotation: int, **fields: object) -> RemoteAnnotation:
        """Change an annotation (for example ``result=[...]``) and return it."""
        return annotation_of(self.http.send("PATCH", f"/api/annotations/{annotation}/", json=fields).row())

    def delete_annotation(self, annotation: int) -> None:
        """Delete one annotation."""
        self.http.call("DELETE", f"/api/annotations/{annotation}/")

    def next_task(self, project: int) -> RemoteTask | None:
        """Return the task this user would be shown next, or ``None`` when the queue is empty."""
        try:
            return task_of(self.http.send("GET", f"/api/projects/{project}/next/").row(), need=("data",))
        except ServerError as error:
            if error.status == 404:
                return None
            raise


def _prediction(row: JsonObject) -> RemotePrediction:
    return RemotePrediction(
        id=row.key("id"),
        task=row.key("task"),
        version=row.maybe_text("model_version"),
        result=row.items("result"),
        created_at=row.maybe_text("created_at"),
    )


def _result(prediction: JsonObject) -> list[object]:
    prediction.key("id")
    return list(prediction.mappings("result"))
