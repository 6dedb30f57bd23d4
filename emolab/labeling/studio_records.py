"""What the Label Studio client returns: small frozen records, named as Label Studio names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

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
    task_number: int = 0
    finished_task_number: int = 0
    annotation_number: int = 0
    skipped_number: int = 0


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
    result: tuple[Mapping[str, object], ...]
    was_cancelled: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    unique_id: str | None = None
    parent_prediction: int | None = None
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


def task_of(raw: Mapping[str, object]) -> RemoteTask:
    """Build a task from the server's JSON, whichever fields were asked for."""
    data = raw.get("data")
    data = data if isinstance(data, Mapping) else {}
    uid = data.get("emolab_uid")
    identity = _int(raw.get("id"))
    annotations = raw.get("annotations")
    return RemoteTask(
        id=identity or 0,
        uid=str(uid) if uid else None,
        updated_at=str(raw.get("updated_at") or ""),
        data=data,
        annotations=tuple(annotation_of(a, identity) for a in annotations) if isinstance(annotations, list) else (),
        overlap=_int(raw.get("overlap")),
        is_labeled=bool(raw["is_labeled"]) if "is_labeled" in raw else None,
        total_annotations=_int(raw.get("total_annotations")),
    )


def annotation_of(raw: Mapping[str, object], task: int | None = None) -> RemoteAnnotation:
    """Build an annotation from the server's JSON; ``task`` fills in where the JSON leaves it out."""
    result = raw.get("result")
    unique_id = raw.get("unique_id")
    return RemoteAnnotation(
        id=_int(raw.get("id")) or 0,
        task=_int(raw.get("task")) or task or 0,
        completed_by=_int(raw.get("completed_by")),
        result=tuple(result) if isinstance(result, list) else (),
        was_cancelled=bool(raw.get("was_cancelled")),
        ground_truth=bool(raw.get("ground_truth")),
        lead_time=_seconds(raw.get("lead_time")),
        unique_id=str(unique_id) if unique_id else None,
        parent_prediction=_int(raw.get("parent_prediction")),
        updated_by=_int(raw.get("updated_by")),
        created_at=str(raw.get("created_at") or ""),
        updated_at=str(raw.get("updated_at") or ""),
    )


def _seconds(value: object) -> float | None:
    """A number of seconds as it was measured, also an impossible one; ``None`` for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        return None
    return float(value) if abs(value) < _SOME_CENTURIES else (_SOME_CENTURIES if value > 0 else -_SOME_CENTURIES)


def _int(value: object) -> int | None:
    """Read an id that the server writes as a number, as a string, or as an object with an ``id``."""
    if isinstance(value, Mapping):
        value = value.get("id")
    if isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdigit():
        return int(value)
    return None
