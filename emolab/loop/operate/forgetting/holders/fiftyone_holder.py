"""FiftyOne: its database is packed, and deleted documents stay in its files. So the workspace's own one is dropped.

It is a view, made again by ``emolab inspect``. On a MongoDB of somebody's own the documents are deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emolab.errors import EmolabError
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene, files_of, told
from emolab.words import many

if TYPE_CHECKING:
    from pathlib import Path

_PLACES = ("fiftyone/*",)


def fiftyone() -> Holder:
    """Documents of samples, their answers and predictions."""
    return Holder(
        name="FiftyOne", about="documents of samples", places=_PLACES, find=_find, erase=_erase, verify=_verify
    )


def _folder(scene: Scene) -> Path:
    return scene.workspace.fiftyone


def _find(scene: Scene) -> Held:
    if any(True for _ in files_of(scene.workspace, ("fiftyone/db/*",))):
        return Held(1, "its database; bring changes of the App back first: emolab inspect --pull")
    there = _foreign(scene)
    return Held(1, "documents on a MongoDB of your own") if there else Held(0, "nothing")


def _erase(scene: Scene) -> Erased:
    n, unreached = 0, list[str]()
    if _folder(scene).is_dir() and any(_folder(scene).iterdir()):
        _drop(_folder(scene))
        n = 1
    if address := _foreign(scene):
        from emolab.datasets.inspect import forgotten_documents

        deleted = forgotten_documents.delete(scene.workspace, address, scene.traces.ids)
        if deleted:
            unreached.append(
                f"{many(deleted, 'document')} deleted on the MongoDB of FIFTYONE_DATABASE_URI: its files keep deleted "
                "pages until they are compacted, and its journal and dumps are yours to delete."
            )
        return Erased(n + deleted, f"{many(deleted, 'document')}", unreached=unreached)
    return Erased(n, "its database, which emolab inspect makes again" if n else "nothing")


def _foreign(scene: Scene) -> str | None:
    """The address of a MongoDB of somebody's own, where this workspace has a dataset there."""
    from emolab.catalog import settings
    from emolab.datasets.inspect import mongod

    address = mongod.given()
    if address is None:
        return None
    with scene.workspace.catalog() as catalog, catalog.connect() as conn:
        return address if settings.get(conn, "inspect.owner") else None


def _drop(folder: Path) -> None:
    """Delete the database. Raises :class:`EmolabError` while somebody uses it."""
    from emolab.datasets.inspect import mongod

    with mongod.alone(folder) as free:
        if not free:
            raise EmolabError(
                f"FiftyOne is open on this workspace, and its database in {folder} holds the forgotten.",
                hint='Bring changes back (emolab inspect --pull), close it, then run "emolab forget" to go on.',
            )
        for place in sorted(folder.iterdir()):
            if place.is_dir():
                shutil.rmtree(place)
            elif place.name != mongod.USERS:
                place.unlink()


def _verify(scene: Scene) -> list[str]:
    files = list(files_of(scene.workspace, ("fiftyone/db/*", "fiftyone/mongod.log", "fiftyone/mongod.out")))
    left = told(scene, files)
    if address := _foreign(scene):
        from emolab.datasets.inspect import forgotten_documents

        n = forgotten_documents.count(scene.workspace, address, scene.traces.ids)
        left += [f"{many(n, 'document')} on the MongoDB of FIFTYONE_DATABASE_URI"] if n else []
    return left


FIFTYONE_HOLDERS: Sequence[Any] = (fiftyone,)
