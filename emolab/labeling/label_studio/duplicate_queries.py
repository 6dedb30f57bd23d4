"""Questions and changes for tasks that carry the same sample: their state, out of the queue, back into it, deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.labeling.answers import timestamps
from emolab.labeling.label_studio.tasks import UID

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.response_shapes import JsonObject

#: Tasks per request: few enough that the moment between a look and a deletion is short.
AT_ONCE = 100
#: In a task's ``meta`` on the server: the task that carries the sample instead of this one.
MARK = "emolab_twin_of"
# ``include`` also filters the fields of nested answers, so theirs are named as well. ``drafts`` would show those of
# this token's user only; ``draft_exists`` knows of everybody's.
_FIELDS = "id,updated_at,data,meta,is_labeled,draft_exists,annotations,completed_by,was_cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One task as the server has it now; ``people`` have answered it, skips not counted."""

    project: int
    task: int
    uid: str | None
    updated_at: str
    people: int
    touched: bool  # answered, skipped, or a draft begun
    finished: bool  # out of the queue
    marked: bool  # closed by emolab as a twin
    meta: Mapping[str, Any]

    @property
    def closed(self) -> bool:
        """Whether nobody is handed this task any more because another one carries its sample."""
        return self.finished and self.marked


def states(studio: Studio, project: int, tasks: Sequence[int]) -> list[State]:
    """The state of those of ``tasks`` that exist, by id."""
    found: list[State] = []
    for start in range(0, len(tasks), AT_ONCE):
        part = list(tasks[start : start + AT_ONCE])
        query = {"filters": {"conjunction": "and", "items": [_ids(part)]}, "ordering": ["tasks:id"]}
        text = json.dumps(query, separators=(",", ":"))
        answer = studio.http.ask(
            "/api/tasks/", project=project, page_size=AT_ONCE, fields="all", include=_FIELDS, query=text
        )
        found += [_state(project, raw) for raw in answer.row().rows("tasks")]
    return found


def close(studio: Studio, state: State, keeper: int) -> None:
    """Take a task out of the queue, readable as before: it asks for as many people as have answered it."""
    meta = {**state.meta, MARK: keeper}
    fields = {"is_labeled": True, "overlap": max(1, state.people), "meta": meta}
    studio.http.call("PATCH", f"/api/tasks/{state.task}/", json=fields)


def restore(studio: Studio, state: State, overlap: int) -> None:
    """Put a closed task back into the queue for ``overlap`` people in all."""
    meta = {name: value for name, value in state.meta.items() if name != MARK}
    fields = {"is_labeled": state.people >= overlap, "overlap": max(overlap, 1), "meta": meta}
    studio.http.call("PATCH", f"/api/tasks/{state.task}/", json=fields)


def delete_untouched(studio: Studio, project: int, tasks: Sequence[State]) -> None:
    """Delete those of ``tasks`` that nobody has answered, skipped or begun at this very moment: the server looks.

    Its counts of answers may stand still (Label Studio 1.23, after two projects were deleted at once), but not the
    moment of the last change: what changed after the newest of these was seen stays too.
    """
    for start in range(0, len(tasks), AT_ONCE):
        part = [state.task for state in tasks[start : start + AT_ONCE]]
        seen = timestamps.newest(state.updated_at for state in tasks[start : start + AT_ONCE])
        none = [_number(name, 0) for name in ("total_annotations", "cancelled_annotations")]
        items = [_ids(part), *none, _NO_DRAFT, *([_unchanged_since(timestamps.written(seen))] if seen else [])]
        body = {
            "selectedItems": {"all": False, "included": part},
            "filters": {"conjunction": "and", "items": items},
        }
        studio.http.call("POST", "/api/dm/actions/", params={"id": "delete_tasks", "project": project}, json=body)


_NO_DRAFT = {"filter": "filter:tasks:draft_exists", "operator": "equal", "type": "Boolean", "value": False}


def _ids(tasks: Sequence[int]) -> dict[str, object]:
    return {"filter": "filter:tasks:id", "operator": "in_list", "type": "List", "value": list(tasks)}


def _unchanged_since(moment: str) -> dict[str, object]:
    return {"filter": "filter:tasks:updated_at", "operator": "less_or_equal", "type": "Datetime", "value": moment}


def _number(column: str, value: int) -> dict[str, object]:
    return {"filter": f"filter:tasks:{column}", "operator": "equal", "type": "Number", "value": value}


def _state(project: int, raw: JsonObject) -> State:
    meta = raw.mapping("meta") if raw.has("meta") else {}
    given = raw.rows("annotations")
    people = {answer.maybe_key("completed_by") for answer in given if not answer.flag("was_cancelled")}
    uid = raw.mapping("data").get(UID)
    return State(
        project=project,
        task=raw.key("id"),
        uid=str(uid) if uid else None,
        updated_at=raw.text("updated_at"),
        people=len(people),
        touched=bool(given) or raw.flag("draft_exists"),
        finished=raw.flag("is_labeled"),
        marked=MARK in meta,
        meta=meta,
    )
