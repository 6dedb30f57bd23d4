"""What the Label Studio client returns: small frozen records, named as Label Studio names them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from emolab.labeling.label_studio.response_shapes import JsonObject, JsonResponse

_SOME_CENTURIES = 1e10  # seconds: a whole number may be too large for a float


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteUser:
    """A person with an account on the server."""

    id: int
    email: str
    username: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteProject:
    """A labeling project."""

    id: int
    title: str
    label_config: str
    maximum_annotations: int
    sampling: str
    show_predictions: bool
    model_version: str
    description: str = ""
    instruction: str = ""
    task_number: int = 0
    finished_task_number: int = 0
    annotation_number: int = 0
    skipped_number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBackend:
    """An ML backend of a project; ``state`` in Label Studio's words, such as "Connected", after it has just asked.

    ``version`` is what the backend called its model then, ``problem`` why it failed, ``has_password`` whether Label
    Studio sends one.
    """

    id: int
    title: str
    url: str
    state: str
    version: str
    problem: str
    has_password: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePrediction:
    """A prediction stored for a task: its parts, as an answer has them, under the version of a model."""

    id: int
    task: int
    version: str
    result: tuple[object, ...]
    created_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUpload:
    """Bytes staged on the server; ``path`` is what a task refers to (``/data/upload/<project>/<hex>-<name>``)."""

    id: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteExport:
    """A snapshot of a project that the server holds, or still builds (not ``finished``)."""

    id: int
    title: str
    created_at: str
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAnnotation:
    """One answer of one annotator; times as the server writes them (ISO 8601, UTC)."""

    id: int
    task: int
    completed_by: int | None
    result: tuple[object, ...]  # parts as objects, and whatever a script has stored among them
    was_cancelled: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    unique_id: str | None = None
    parent_prediction: int | None = None
    parent_annotation: int | None = None
    updated_by: int | None = None
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTask:
    """One task; ``uid`` is emolab's sample id (``None``: not pushed by emolab)."""

    id: int
    uid: str | None
    updated_at: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    annotations: tuple[RemoteAnnotation, ...] = ()
    overlap: int | None = None
    is_labeled: bool | None = None
    total_annotations: int | None = None


#: What a task must have that was asked for with all its answers.
WHOLE = ("updated_at", "data", "annotations")


def backend_of(raw: JsonObject) -> RemoteBackend:
    """Build an ML backend from the server's JSON."""
    return RemoteBackend(
        id=raw.key("id"),
        title=raw.maybe_text("title"),
        url=raw.text("url"),
        state=raw.maybe_text("readable_state"),
        version=raw.maybe_text("model_version"),
        problem=raw.maybe_text("error_message"),
        has_password=raw.flag("basic_auth_pass_is_set"),
    )


def task_of(raw: JsonObject | Mapping[str, object], *, need: Sequence[str] = ()) -> RemoteTask:
    """Build a task from the server's JSON; the fields that were asked for (``need``) must be there.

    A task whose answers are left out is no task without answers, and an answer that does not tell what was said, by
    whom, or whether it was a skip is none.
    """
    raw = _row(raw, "a task")
    identity = raw.key("id")
    if "updated_at" in need:
        raw.text("updated_at")
    data = raw.mapping("data") if "data" in need or raw.has("data") else {}
    uid = data.get("emolab_uid")
    answers = raw.rows("annotations") if "annotations" in need or raw.has("annotations") else []
    for answer in answers if "annotations" in need else ():
        answer.told("result", "completed_by", "was_cancelled")
    return RemoteTask(
        id=identity,
        uid=str(uid) if uid else None,
        updated_at=raw.maybe_text("updated_at"),
        data=data,
        annotations=tuple(annotation_of(answer, identity) for answer in answers),
        overlap=raw.maybe_key("overlap"),
        is_labeled=raw.flag("is_labeled") if raw.has("is_labeled") else None,
        total_annotations=raw.number("total_annotations") if raw.has("total_annotations") else None,
    )


def annotation_of(raw: JsonObject | Mapping[str, object], task: int | None = None) -> RemoteAnnotation:
    """Build an annotation from the server's JSON; ``task`` fills in where the JSON leaves it out."""
    raw = _row(raw, "an annotation")
    return RemoteAnnotation(
        id=raw.key("id"),
        task=raw.maybe_key("task") or task or 0,
        completed_by=raw.maybe_key("completed_by"),
        result=raw.items("result"),
        was_cancelled=raw.flag("was_cancelled"),
        ground_truth=raw.flag("ground_truth"),
        lead_time=_seconds(raw.amount("lead_time")),
        unique_id=raw.maybe_text("unique_id") or None,
        parent_prediction=raw.maybe_key("parent_prediction"),
        parent_annotation=raw.maybe_key("parent_annotation"),
        updated_by=raw.maybe_key("updated_by"),
        created_at=raw.maybe_text("created_at"),
        updated_at=raw.maybe_text("updated_at"),
    )


def _row(raw: JsonObject | Mapping[str, object], what: str) -> JsonObject:
    """``raw`` ready to be read by kind; plain JSON (of an export, say) has no request to name, so ``what`` it is."""
    return raw if isinstance(raw, JsonObject) else JsonResponse(raw, what, "A file").row()


def _seconds(value: float | None) -> float | None:
    """A number of seconds as it was measured, also an impossible one; ``None`` for what is no number."""
    if value is None or not abs(value) < math.inf:
        return None
    return float(value) if abs(value) < _SOME_CENTURIES else (_SOME_CENTURIES if value > 0 else -_SOME_CENTURIES)
