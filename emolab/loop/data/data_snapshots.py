"""States of the data: kept, listed, compared, and brought back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result, Table
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emolab.provenance.data_restore import RestorePlan
    from emolab.provenance.data_rows import Row
    from emolab.provenance.manifest import DataSnapshot
    from emolab.workspace import Workspace

#: What the present state is called where a snapshot is named.
NOW = "now"


@dataclass(frozen=True, slots=True)
class KeptSnapshot(Result):
    """A snapshot of the data, how many rows each part has, and whether it is ``new``.

    ``forgotten``: rows of it were erased since, so it cannot be brought back.
    """

    id: str
    name: str | None
    created_at: str
    rows: dict[str, int]
    new: bool
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class DataSnapshots(Result):
    """All snapshots of the data, oldest first."""

    snapshots: list[KeptSnapshot]

    def tables(self) -> list[Table]:
        """One row a snapshot."""
        rows = [(one.id, one.name, one.created_at, *(one.rows[part] for part in COUNTED)) for one in self.snapshots]
        return [Table("Data snapshots", ("snapshot", "name", "made", *COUNTED), rows)]


#: The parts whose rows are counted in lists.
COUNTED = ("samples", "votes", "labels")


@dataclass(frozen=True, slots=True)
class SnapshotContent(Result):
    """What a snapshot holds: ``splits`` and ``sources`` count its samples, ``classes`` its labels."""

    id: str
    name: str | None
    created_at: str
    rows: dict[str, int]
    splits: dict[str, int]
    sources: dict[str, int]
    classes: dict[str, int]
    labels: str | None
    code: dict[str, str]


@dataclass(frozen=True, slots=True)
class SnapshotDifference(Result):
    """What changed from ``old`` to ``new``, in ``sentences``; none where nothing did. ``counts`` by part, in rows."""

    old: str
    new: str
    sentences: list[str]
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class RestoredSnapshot(Result):
    """What bringing ``snapshot`` back did, or would with ``dry_run``, in numbers, and in ``notes`` what stayed."""

    snapshot: str
    dry_run: bool
    samples_back: int
    samples_removed: int
    samples_changed: int
    votes_added: int
    votes_withdrawn: int
    splits_moved: int
    labels_changed: bool
    notes: list[str]


def snapshot_create(workspace: Workspace, *, name: str | None = None) -> KeptSnapshot:
    """Keep the samples, votes, labels, splits, sources and settings of this moment, under the hash of their content.

    ``name`` is one to find it by. The files of samples are not copied: their ids are hashes of them. The same data
    again are the same snapshot. Raises :class:`DataError` for a name that another one has.
    """
    from emolab.errors import DataError
    from emolab.provenance import manifest

    if name is not None and (name in (NOW, "latest") or not name.strip() or not name.isprintable()):
        raise DataError(f"{name!a} cannot be the name of a snapshot.", hint="For example: --name before-cleaning")
    kept, new = manifest.write(workspace, _now(workspace), name)
    return _kept(kept, new=new)


def snapshot_list(workspace: Workspace) -> DataSnapshots:
    """All snapshots of the data, oldest first; without any the list is empty, no error."""
    from emolab.provenance import manifest

    return DataSnapshots([_kept(one, new=False) for one in manifest.listed(workspace)])


def snapshot_show(workspace: Workspace, snapshot: str = "latest") -> SnapshotContent:
    """What is in a ``snapshot``: its name, id, or start of an id. Raises :class:`DataError` for a damaged one."""
    from emolab.provenance import manifest

    found = manifest.find(workspace, snapshot)
    rows = manifest.read(workspace, found)
    about = {row["name"]: row["value"] for row in rows["about"]}
    head = about["labels"]
    return SnapshotContent(
        id=found.id,
        name=found.name,
        created_at=found.created_at,
        rows=dict(found.rows),
        splits=dict(Counter(row["split"] or "none" for row in rows["splits"])),
        sources=dict(Counter(row["source"] for row in rows["samples"])),
        classes={} if head is None else dict(Counter(head["classes"][row["hard"]] for row in rows["labels"])),
        labels=None if head is None else head["version"],
        code=about["code"],
    )


def snapshot_diff(workspace: Workspace, old: str, new: str = NOW) -> SnapshotDifference:
    """What changed from one snapshot to another, or between the data of two models, in words.

    ``now`` is the present state. Two models are compared by what they trained and validated on. Raises
    :class:`DataError` for names of which one only is a model's.
    """
    from emolab.errors import DataError, UnknownName
    from emolab.provenance import data_diff

    try:
        before, after = _rows(workspace, old), _rows(workspace, new)
    except UnknownName:
        models = [_model_data(workspace, one) for one in (old, new)]
        if models[0] is None and models[1] is None:
            raise
        if models[0] is None or models[1] is None:
            raise DataError(
                f"{old if models[0] else new} is a model, and {new if models[0] else old} is none.",
                hint="Name two models or two snapshots: emolab snapshot diff OLD NEW",
            ) from None
        return _between_models(old, new, *models)
    found = data_diff.changes(before, after)
    return SnapshotDifference(old, new, found.sentences, found.counts)


def snapshot_restore(
    workspace: Workspace,
    snapshot: str,
    *,
    agree: Callable[[RestoredSnapshot], None] | None = None,
    dry_run: bool = False,
) -> RestoredSnapshot:
    """Bring back the state of the data that ``snapshot`` holds, in one transaction.

    No vote is rewritten: those that were not there get a tombstone, those that are not there now come as new rows.
    ``agree`` is called with what would happen, and refuses by raising. Raises :class:`DataError`, and changes nothing,
    where files of samples are missing or the snapshot is damaged.
    """
    from emolab.datasets.near_copies.thumbnails import LOOKS, Looks
    from emolab.provenance import data_restore, manifest

    found = manifest.find(workspace, snapshot)
    manifest.check_whole(found)
    rows = manifest.read(workspace, found)
    with workspace.lock("merge"), workspace.catalog() as catalog:
        with catalog.connect() as conn:
            told = _told(workspace, found, rows, data_restore.plan(workspace, conn, rows), dry_run=dry_run)
        if agree is not None:
            agree(told)
        if not dry_run:
            with catalog.begin() as tx:  # planned again: somebody may have voted while we asked
                plan = data_restore.plan(workspace, tx, rows)
                told = _told(workspace, found, rows, plan, dry_run=False)
                if not plan.nothing:
                    data_restore.carry_out(tx, found, rows, plan)
            with Looks(workspace.cache / LOOKS) as looks:  # near copies are looked for among what is there
                looks.forget(plan.gone.samples)
    return told


def _told(
    workspace: Workspace, found: DataSnapshot, rows: Mapping[str, list[Row]], plan: RestorePlan, *, dry_run: bool
) -> RestoredSnapshot:
    notes = []
    if plan.gone.sent:
        notes.append(f"{many(len(plan.gone.sent), 'sample')} came later and stay: they lie in a Label Studio project")
    if plan.kept_holdout:
        notes.append(f"{many(len(plan.kept_holdout), 'sample')} stay in the holdout, which nothing takes from")
    then = {row["name"]: row["value"] for row in rows["about"]}["settings"]
    now = json.loads(json.dumps(workspace.config.to_dict()))  # as the snapshot holds them: lists, no tuples
    other = [
        f"{section}.{key}" for section, values in then.items() for key, value in values.items()
        if now.get(section, {}).get(key) != value
    ]  # fmt: skip
    if other:
        notes.append(f"Settings stay as they are now; {len(other)} were others then: {', '.join(other[:5])}")
    if plan.votes:
        notes.append("Answers on a labelling server that are newer come in again with the next pull")
    return RestoredSnapshot(
        snapshot=found.id,
        dry_run=dry_run,
        samples_back=len(plan.back),
        samples_removed=len(plan.gone.samples),
        samples_changed=len(plan.changed),
        votes_added=len(plan.votes),
        votes_withdrawn=len(plan.buried) + len(plan.gone.votes),
        splits_moved=len(plan.splits),
        labels_changed=plan.labels_change,
        notes=notes,
    )


def _kept(found: DataSnapshot, *, new: bool) -> KeptSnapshot:
    return KeptSnapshot(found.id, found.name, found.created_at, dict(found.rows), new, found.forgotten)


def _now(workspace: Workspace) -> dict[str, list[Row]]:
    """The present rows."""
    from emolab.provenance import data_rows

    with workspace.catalog() as catalog, catalog.connect() as conn:
        if conn.dialect.name == "postgresql":  # each statement would see what is there at its own moment
            conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return data_rows.rows_of(workspace, conn)


def _rows(workspace: Workspace, name: str) -> dict[str, list[Row]]:
    """The rows of a snapshot, or the present ones as they would come back from a file."""
    from emolab.provenance import manifest

    if name != NOW:
        return manifest.read(workspace, manifest.find(workspace, name))
    return {part: [json.loads(json.dumps(row)) for row in rows] for part, rows in _now(workspace).items()}


def _model_data(workspace: Workspace, name: str) -> Any:
    """The data of the model of this name; ``None`` where there is no such model. Proven to be what its id says."""
    from emolab.catalog import models
    from emolab.catalog import snapshots as recorded
    from emolab.errors import DataError
    from emolab.provenance import snapshots as model_data

    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, name)
        if model is None:
            return None
        kept = recorded.find(conn, model.snapshot)
    if kept is None:
        raise DataError(f"What model {short(model.id)} learned from is not on record here.")
    return model_data.verify(workspace, kept)


def _between_models(old: str, new: str, before: Any, after: Any) -> SnapshotDifference:
    from emolab.provenance import data_diff
    from emolab.provenance import snapshots as model_data

    found = model_data.diff(before, after)
    counts = {
        "samples": {"added": len(found.added), "removed": len(found.removed), "changed": 0},
        "splits": {"added": 0, "removed": 0, "changed": len(found.moved)},
        "labels": {"added": 0, "removed": 0, "changed": len(found.relabelled)},
    }
    return SnapshotDifference(old, new, data_diff.model_changes(before, after, found), counts)
