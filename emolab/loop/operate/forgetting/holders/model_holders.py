"""Models that learned from the forgotten: their record of what they learned is written anew, their pages lose pictures.

What weights keep of a sample cannot be taken out of them. So such models are flagged, and another one is to be trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import MissingExtra
from emolab.loop.operate.forgetting import scrub
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene, by_files, files_of, naming
from emolab.words import many

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.training.learned.learned_images import Learned

_PLACES = ("models/*",)
_RECORDS = ("models/*/learned.safetensors", "pretrained/*.learned.safetensors")
_OF_SNAPSHOT = re.compile(r", snapshot ([0-9a-f]{12})$")
_UNLABELLED = ", without labels"


def with_them(scene: Scene) -> list[str]:
    """The ids of the models' snapshots that hold one of the samples."""
    from emolab.provenance import snapshots

    folders = [file.parent for file in sorted(scene.workspace.snapshots.glob("*/snapshot.json"))]
    named = (folder for folder in folders if not scene.traces.known.isdisjoint(snapshots.read(folder).ids))
    return [str(json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))["id"]) for folder in named]


def learned_from(scene: Scene, conn: Connection) -> list[str]:
    """The ids of models that learned from the samples, or were made of a model that did, oldest first."""
    from emolab.catalog import models

    found = list[str]()
    for model in models.list_all(conn):
        record = scene.workspace.root / model.path / "learned.safetensors"
        inherits = _inherited(scene, record) if record.is_file() else model.parent in found
        if model.snapshot in scene.snapshots or inherits:
            found.append(model.id)
    return found


def _inherited(scene: Scene, record: Path) -> bool:
    """Whether a record tells of a snapshot with the samples, or of a pretraining that saw one of their pictures."""
    prints, held = _prints(scene), {name[:12] for name in scene.snapshots}
    for layer in _read(record).layers:
        own = _own(scene, layer.what)
        seen = own == _UNLABELLED and len(prints) > 0 and bool(layer.content.has(_keys(prints)).any())
        if own in held or seen:
            return True
    return False


def pages() -> Holder:
    """Reports of models, which show pictures of samples they were wrong about."""
    _, verify = by_files(("models/*.html", "models/*.json", "models/*.txt", "models/*.csv"))

    def theirs(scene: Scene) -> list[Path]:
        folders = {model[:16] for model in scene.models}
        html = [file for file in files_of(scene.workspace, ("models/*.html",)) if file.parent.name in folders]
        return [file for file in html if b'src="data:' in file.read_bytes()]

    def find(scene: Scene) -> Held:
        n = len(theirs(scene))
        return Held(n, many(n, "page with pictures", "pages with pictures"))

    def erase(scene: Scene) -> Erased:
        gone = theirs(scene)
        for file in gone:
            scrub.without_pictures(file)
        for file in naming(scene, ("models/*.html", "models/*.json", "models/*.txt", "models/*.csv")):
            scrub.scrub(file, scene.traces)
        return Erased(len(gone), many(len(gone), "page without its pictures now", "pages without their pictures now"))

    def left(scene: Scene) -> list[str]:
        pictured = [file.relative_to(scene.workspace.root).as_posix() for file in theirs(scene)]
        return sorted({*verify(scene), *pictured})

    return Holder(
        name="reports of models", about="pages that show pictures of samples", places=_PLACES, find=find, erase=erase,
        verify=left,
    )  # fmt: skip


def filters() -> Holder:
    """Filters of what models have learned: a filter cannot lose one entry, so it is made again of the others."""

    def find(scene: Scene) -> Held:
        n = sum(1 for file in files_of(scene.workspace, _RECORDS) if _rewritten(scene, file) is not None)
        return Held(n, many(n, "filter"))

    def erase(scene: Scene) -> Erased:
        from emolab.training.learned import learned_images

        n, foreign = 0, set[str]()
        for file in files_of(scene.workspace, _RECORDS):
            made = _rewritten(scene, file)
            if made is not None:
                learned_images.write(file, made)
                n += 1
            foreign |= _foreign(scene, _read(file))
        unreached = [
            f"{name}, which was not made here, has learned {n} of these samples by its record; it stays as it is."
            for name, n in sorted(_counted(foreign).items())
        ]
        return Erased(n, many(n, "filter made again", "filters made again"), unreached=unreached)

    return Holder(
        name="filters of learned images", about="what models have learned, as hashes", places=_RECORDS, find=find,
        erase=erase, verify=lambda scene: [
            file.relative_to(scene.workspace.root).as_posix()
            for file in files_of(scene.workspace, _RECORDS)
            if _rewritten(scene, file) is not None
        ],
    )  # fmt: skip


def _counted(found: set[str]) -> dict[str, int]:
    made: dict[str, int] = {}
    for each in found:
        name = each.partition("\n")[0]
        made[name] = made.get(name, 0) + 1
    return made


def _foreign(scene: Scene, learned: Learned) -> set[str]:
    """Layers made elsewhere that have a forgotten picture: name and number of the picture, in one text each."""
    prints = _prints(scene)
    if not len(prints):
        return set()
    return {
        f"{layer.what}\n{row}"
        for layer in learned.layers
        if _own(scene, layer.what) is None
        for row in np.flatnonzero(layer.content.has(_keys(prints)))
    }


def _own(scene: Scene, what: str) -> str | None:
    """Of a layer made in this workspace: the start of its snapshot's id, or that no labels were seen; else ``None``."""
    if match := _OF_SNAPSHOT.search(what):
        there = [file.parent.name for file in scene.workspace.snapshots.glob(f"{match[1]}*/snapshot.json")]
        return match[1] if there else None
    return _UNLABELLED if what == f"{scene.workspace.config.project.name}{_UNLABELLED}" else None


def _rewritten(scene: Scene, file: Path) -> Learned | None:
    """The record of ``file`` without the forgotten; ``None`` where it has nothing of them already."""
    from emolab.training.learned.learned_images import Learned

    before = _read(file)
    held = {name[:12] for name in scene.snapshots}
    touched = {layer.what: own for layer in before.layers if (own := _own(scene, layer.what)) is not None}
    touched = {what: own for what, own in touched.items() if own in held or own == _UNLABELLED}
    if not touched:
        return None
    made, changed, lost = Learned(unknown=before.unknown), False, 0
    for layer in before.layers:
        if layer.what not in touched:
            made = Learned((*made.layers, layer), made.unknown)
            continue
        prints, unread = _kept(scene, touched[layer.what], layer)
        rebuilt = made.with_images(prints, layer.what, labelled=layer.labelled)
        if touched[layer.what] == _UNLABELLED and not layer.content.has(_keys(_prints(scene))).any():
            rebuilt = Learned((*made.layers, layer), made.unknown)
        changed |= [one.key for one in rebuilt.layers[len(made.layers) :]] != [layer.key]
        lost += unread
        made = rebuilt
    if not changed:
        return None
    note = f"{lost:,} pictures could not be read when its record was made again without forgotten ones"
    unknown = (*made.unknown, note) if lost and note not in made.unknown else made.unknown
    return Learned(made.layers, unknown)


def _kept(scene: Scene, own: str, layer: Any) -> tuple[NDArray[np.uint8], int]:
    """Fingerprints (n, 31) of what stays in a layer, and how many of its samples cannot be read any more."""
    from emolab.catalog import samples
    from emolab.provenance import snapshots
    from emolab.training.learned import fingerprints

    workspace = scene.workspace
    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths: Mapping[str, str] = {sample.id: sample.media for sample in samples.iterate(conn)}
    if own == _UNLABELLED:
        ids: Sequence[str] = [each for each in paths if each not in scene.traces.known]
    else:
        folder = next(iter(workspace.snapshots.glob(f"{own}*")))
        _, trained, _ = snapshots.read_split(folder, "train")
        ids = [each for each in trained if each not in scene.traces.known]
    there = [each for each in ids if each in paths]
    prints = fingerprints.fill(workspace.cache, there, lambda each: workspace.root / paths[each])
    readable = prints[~fingerprints.unread(prints)]
    if own == _UNLABELLED:
        readable = readable[layer.content.has(_keys(readable))]
        return readable, 0
    return readable, len(ids) - len(readable)


def _prints(scene: Scene) -> NDArray[np.uint8]:
    from emolab.training.learned.fingerprints import BYTES

    return np.frombuffer(bytes.fromhex("".join(scene.traces.prints)), dtype=np.uint8).reshape(-1, BYTES)


def _keys(prints: NDArray[np.uint8]) -> NDArray[np.uint64]:
    from emolab.training.learned import fingerprints

    return fingerprints.content_keys(prints)


def _read(file: Path) -> Learned:
    try:
        from emolab.training.learned import learned_images
    except ImportError as error:
        raise MissingExtra("safetensors", "train") from error
    return learned_images.read(file, of=f"model {file.parent.name[:10]}")


def prints_of(scene: Scene) -> tuple[str, ...]:
    """Fingerprints of the forgotten, hex, of those whose file can still be read; none without models of this place."""
    if not any(True for _ in files_of(scene.workspace, _RECORDS)):
        return ()
    from emolab.training.learned import fingerprints

    media = dict(zip(scene.traces.ids, scene.traces.media, strict=False))
    ids = [each for each, place in media.items() if (scene.workspace.root / place).is_file()]
    found = fingerprints.fill(scene.workspace.cache, ids, lambda each: scene.workspace.root / media[each])
    return tuple(row.tobytes().hex() for row in found[~fingerprints.unread(found)])


MODEL_HOLDERS: Sequence[Any] = (filters, pages)
