"""The data of a workspace as rows of plain values, by part: what a data snapshot holds.

The same data gives the same rows in the same order on any machine: samples, labels and splits by id, votes by origin.
"""

from __future__ import annotations

import base64
import platform
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.catalog import labels, samples, votes
from emolab.catalog.storage import schema
from emolab.records import LabelSet, Sample, Vote

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.workspace import Workspace

Row = dict[str, Any]

#: The parts in their order, and by which columns the rows of each are told apart.
PARTS: Mapping[str, tuple[str, ...]] = {
    "samples": ("id",),
    "splits": ("id",),
    "votes": ("origin",),
    "labels": ("id",),
    "sources": ("name",),
    "about": ("name",),
}
_PLACE = ("split", "representative")
_SAMPLE = tuple(one.name for one in fields(Sample) if one.name not in _PLACE)
_VOTE = tuple(one.name for one in fields(Vote))


def rows_of(workspace: Workspace, conn: Connection) -> dict[str, list[Row]]:
    """All rows by part. ``about`` has the label set, the settings and the code that made them."""
    found = sorted(samples.iterate(conn), key=lambda sample: sample.id)
    current = labels.current(conn)
    return {
        "samples": [{name: getattr(one, name) for name in _SAMPLE} for one in found],
        "splits": [{"id": one.id, **{name: getattr(one, name) for name in _PLACE}} for one in found],
        "votes": sorted(_votes(conn), key=lambda row: (row["origin"], row["sample_id"], row["annotator"])),
        "labels": [] if current is None else _labels(current),
        "sources": sorted(_sources(conn), key=lambda row: row["name"]),
        "about": _about(workspace, current),
    }


def sample_of(row: Mapping[str, Any], place: Mapping[str, Any]) -> Sample:
    """The sample of a row of samples and its row of splits."""
    values = {**row, **{name: place[name] for name in _PLACE}}
    values["box"] = None if row["box"] is None else tuple(row["box"])
    if row["landmarks"] is not None:
        values["landmarks"] = tuple((x, y) for x, y in row["landmarks"])
    return Sample(**values)


def vote_of(row: Mapping[str, Any]) -> tuple[Vote, str]:
    """The vote of a row, and the kind of its annotator."""
    values = {name: value for name, value in row.items() if name != "kind"}
    return Vote(**{**values, "also": tuple(row["also"])}), row["kind"]


def label_set_of(rows: list[Row], about: Mapping[str, Any]) -> LabelSet | None:
    """The label set of these rows, ``None`` where there was none."""
    head = about.get("labels")
    if head is None:
        return None
    probs = np.frombuffer(b"".join(base64.b64decode(row["probs"]) for row in rows), dtype="<f4")
    return LabelSet(
        version=head["version"],
        classes=tuple(head["classes"]),
        samples=[row["id"] for row in rows],
        probs=probs.reshape(len(rows), len(head["classes"])),
        hard=np.array([row["hard"] for row in rows], dtype=np.int16),
        votes=np.array([row["votes"] for row in rows], dtype=np.int32),
        agreement=np.array([row["agreement"] for row in rows], dtype=np.float32),
        method=head["method"],
        created_at=head["created_at"],
        settings=head["settings"],
    )


def _votes(conn: Connection) -> Iterator[Row]:
    kinds = votes.annotator_kinds(conn)
    for vote in votes.iterate(conn, include_rejected=True):
        row = {name: getattr(vote, name) for name in _VOTE}
        yield {**row, "also": list(vote.also), "extra": dict(vote.extra), "kind": kinds[vote.annotator]}


def _labels(current: LabelSet) -> list[Row]:
    probs = np.ascontiguousarray(current.probs, dtype="<f4")
    rows = [
        {
            "id": sample,
            "hard": int(current.hard[i]),
            "votes": int(current.votes[i]),
            "agreement": float(current.agreement[i]),
            "probs": base64.b64encode(probs[i].tobytes()).decode(),
        }
        for i, sample in enumerate(current.samples)
    ]
    return sorted(rows, key=lambda row: str(row["id"]))


def _sources(conn: Connection) -> Iterator[Row]:
    for row in conn.execute(schema.sources.select()):
        yield dict(row._mapping)


def _about(workspace: Workspace, current: LabelSet | None) -> list[Row]:
    import emolab

    head = None
    if current is not None:
        head = {name: getattr(current, name) for name in ("version", "classes", "method", "created_at", "settings")}
        head |= {"classes": list(current.classes), "settings": dict(current.settings)}
    versions = {"emolab": emolab.__version__, "python": platform.python_version(), "numpy": np.__version__}
    return [
        {"name": "code", "value": versions},
        {"name": "labels", "value": head},
        {"name": "settings", "value": workspace.config.to_dict()},
    ]
