"""Questions that only synchronisation asks Label Studio: what changed, who carries which sample, what was used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emolab.labeling.answers import timestamps
from emolab.labeling.form.controls import ANSWER
from emolab.labeling.label_studio.records import task_of

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteTask
    from emolab.labeling.label_studio.response_shapes import JsonObject

PAGE = 2000


@dataclass(frozen=True, slots=True)
class Window:
    """A fingerprint of the tasks that changed after some moment: their number, their answers, the newest change."""

    tasks: int
    answers: int
    newest: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON for the catalog."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Carrier:
    """A task on the server and the sample it carries (``None``: not emolab's)."""

    task: int
    uid: str | None
    updated_at: str


def window(studio: Studio, project: int, since: str) -> Window:
    """What changed after ``since``, at a glance: one small request whatever the number of tasks."""
    answer = _tasks(studio, project, [_after_time(since)], ordering="-tasks:updated_at", include="id,updated_at")
    newest = _newest(task.text("updated_at") for task in answer.rows("tasks"))
    return Window(answer.number("total"), answer.number("total_annotations"), newest)


def window_of(tasks: Sequence[RemoteTask], since: str) -> Window:
    """The same fingerprint from tasks that were read: what :func:`window` answers while nothing changes."""
    start = timestamps.moment(since)
    inside = [task for task in tasks if start is None or _later(task.updated_at, start)]
    answers = sum(not answer.was_cancelled for task in inside for answer in task.annotations)
    return Window(len(inside), answers, _newest(task.updated_at for task in inside))


def carriers(studio: Studio, project: int, *, after: int = 0) -> Iterator[Carrier]:
    """Every task with an id above ``after``, in order of id; stable while others add or delete tasks."""
    for page in studio.pages(project, [], include="id,data,updated_at", size=PAGE, after=after):
        for task in page:
            yield Carrier(task.id, task.uid, task.updated_at)


def drafted(studio: Studio, project: int) -> list[int]:
    """The tasks of which somebody, whoever it is, has kept a draft."""
    only = {"filter": "filter:tasks:draft_exists", "operator": "equal", "value": True, "type": "Boolean"}
    return [task.id for page in studio.pages(project, [only], include="id", size=PAGE) for task in page]


def untouched(studio: Studio, project: int, *, n: int) -> list[Carrier]:
    """Up to ``n`` tasks that nobody has answered, skipped or begun, from the end of the queue."""
    items = [
        {"filter": f"filter:tasks:{column}", "operator": "equal", "value": value, "type": kind}
        for column, value, kind in (
            ("total_annotations", 0, "Number"), ("cancelled_annotations", 0, "Number"),
            ("draft_exists", False, "Boolean"),
        )
    ]  # fmt: skip
    rows = _tasks(
        studio, project, items, ordering="-tasks:predictions_score", include="id,data,updated_at", size=n
    ).rows("tasks")
    found = (task_of(row, need=("data",)) for row in rows)
    return [Carrier(task.id, task.uid, task.updated_at) for task in found]


def newest_task(studio: Studio, project: int) -> int:
    """The highest task id of the project, 0 when it is empty."""
    rows = _tasks(studio, project, [], ordering="-tasks:id", include="id").rows("tasks")
    return rows[0].key("id") if rows else 0


def used_labels(studio: Studio, project: int) -> dict[str, int]:
    """How often each label was given in the project, as the server counts."""
    created = studio.http.ask(f"/api/projects/{project}/summary/").row().maybe_row("created_labels")
    if not created.has(ANSWER):
        return {}
    counts = created.row(ANSWER)
    return {label: n for label in counts.fields() if (n := counts.number(label)) > 0}


def used_controls(studio: Studio, project: int) -> set[str]:
    """The controls that answers or drafts were given with, as ``name|toName|type``; of drafts only the name is known.

    Label Studio refuses a form without one of them.
    """
    summary = studio.http.ask(f"/api/projects/{project}/summary/").row()
    drafts = summary.maybe_row("created_labels_drafts") if summary.has("created_labels_drafts") else None
    return {*summary.maybe_row("created_annotations").fields(), *(drafts.fields() if drafts else ())}


def model_versions(studio: Studio, project: int) -> list[str]:
    """The model versions that predictions of the project belong to."""
    return studio.http.ask(f"/api/projects/{project}/model-versions/").names()  # with the number of each


def _later(stamp: str, start: datetime) -> bool:
    time = timestamps.moment(stamp)
    return time is not None and time > start


def _newest(texts: Iterable[str]) -> str:
    time = timestamps.newest(texts)
    return "" if time is None else timestamps.written(time)


def _after_time(since: str) -> dict[str, object]:
    return {"filter": "filter:tasks:updated_at", "operator": "greater", "value": since, "type": "Datetime"}


def _tasks(
    studio: Studio, project: int, only: Sequence[Mapping[str, object]], *, ordering: str, include: str, size: int = 1
) -> JsonObject:
    query = {"filters": {"conjunction": "and", "items": list(only)}, "ordering": [ordering]}
    text = json.dumps(query, separators=(",", ":"))
    return studio.http.ask("/api/tasks/", project=project, page_size=size, include=include, query=text).row()
