"""Documents of forgotten samples, on a MongoDB that is not the workspace's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emolab.catalog.storage.chunks import chunks
from emolab.datasets.inspect import fiftyone_view, mongod
from emolab.datasets.inspect.fiftyone_dataset import dataset_name, owner_id

if TYPE_CHECKING:
    from emolab.workspace import Workspace


def count(workspace: Workspace, address: str, ids: Sequence[str]) -> int:
    """How many documents the workspace's dataset has about the samples ``ids``. Raises where it cannot be asked."""
    dataset = _dataset(workspace, address)
    return 0 if dataset is None else sum(len(dataset.match({"uid": {"$in": list(part)}})) for part in chunks(ids, 500))


def delete(workspace: Workspace, address: str, ids: Sequence[str]) -> int:
    """Delete the documents about the samples ``ids``; how many went. Raises where the database cannot be reached."""
    dataset = _dataset(workspace, address)
    if dataset is None:
        return 0
    before = len(dataset)
    for part in chunks(ids, 500):
        dataset.delete_samples(dataset.match({"uid": {"$in": list(part)}}))
    return before - len(dataset)


def _dataset(workspace: Workspace, address: str) -> Any:
    """The workspace's dataset; ``None`` where it was never written there."""
    mongod.check(address)
    fo = fiftyone_view.connect(address)
    with workspace.catalog() as catalog:
        owner = owner_id(workspace, catalog)
    name = dataset_name(fo, workspace, owner)
    if not fo.dataset_exists(name):
        return None
    found = fo.load_dataset(name)
    return found if found.info.get("emolab", {}).get("owner") == owner else None
