"""Snapshots lose the rows of what was forgotten, and say from then on that they cannot be brought back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.files import write_bytes, write_text
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene, by_files, files_of, holds, told
from emolab.provenance import manifest, snapshots
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODELS = ("snapshots/????????????????/*",)
_DATA = ("snapshots/data/*",)


def model_data() -> Holder:
    """What models saw: rows of ids, labels and splits."""
    _, verify = by_files(_MODELS)

    def find(scene: Scene) -> Held:
        n = len([folder for folder in _folders(scene) if _rows(scene, folder)])
        return Held(n, many(n, "snapshot"))

    def erase(scene: Scene) -> Erased:
        n = sum(_without(scene, folder) for folder in _folders(scene))
        return Erased(n, many(n, "row"))

    return Holder(
        name="snapshots of models", about="the data each model saw", places=_MODELS, find=find, erase=erase,
        verify=verify,
    )  # fmt: skip


def _folders(scene: Scene) -> list[Path]:
    return [file.parent for file in sorted(scene.workspace.snapshots.glob("*/snapshot.json"))]


def _rows(scene: Scene, folder: Path) -> list[int]:
    known = {bytes.fromhex(each) for each in scene.traces.known}
    ids = np.load(folder / "ids.npy", allow_pickle=False)
    return [row for row, each in enumerate(ids) if each.tobytes() in known]


def _without(scene: Scene, folder: Path) -> int:
    """Take the rows out of one snapshot; the count of them is kept beside. The ids go last: a kill leaves them to tell.

    Arrays that were shortened already by a run that was stopped are as long as what is to stay.
    """
    gone = _rows(scene, folder)
    if not gone:
        return 0
    file = folder / "snapshot.json"
    about: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    whole = len(np.load(folder / "ids.npy", mmap_mode="r"))
    stay = np.setdiff1d(np.arange(whole), gone)
    total = int(about["n"]) - len(stay)
    write_text(file, json.dumps({**about, "forgotten": total}, indent=2) + "\n")
    for name in ("targets", "supported", "splits", "ids"):
        array = np.load(folder / f"{name}.npy", allow_pickle=False)
        if len(array) == whole:
            write_bytes(folder / f"{name}.npy", snapshots.as_npy(array[stay]))
    return len(gone)


def data_states() -> Holder:
    """States of the data: samples, splits, votes, labels."""
    _, verify = by_files(_DATA)

    def find(scene: Scene) -> Held:
        chunks = {_digest(file) for file in files_of(scene.workspace, _DATA) if holds(file, scene.traces)}
        n = sum(not chunks.isdisjoint(_chunks(one)) for one in manifest.listed(scene.workspace))
        return Held(n, many(n, "snapshot"))

    def erase(scene: Scene) -> Erased:
        folder, rows = manifest.folder_of(scene.workspace), 0
        renamed: dict[str, tuple[str | None, int]] = {}
        for file in files_of(scene.workspace, ("snapshots/data/chunks/*",)):
            if holds(file, scene.traces):
                renamed[_digest(file)] = made = _cleaned(scene, folder, file)
                rows += made[1]
        for file in sorted(folder.glob("*.json")):
            manifest.replace_chunks(
                file,
                {old: new for old, (new, _) in renamed.items()},
                scene.traces.cleaned,
                forgotten=bool(scene.traces.ids),
            )
        named = {chunk for one in manifest.listed(scene.workspace) for chunk in _chunks(one)}
        for file in files_of(scene.workspace, ("snapshots/data/chunks/*",)):
            if _digest(file) not in named:
                file.unlink()
        return Erased(rows, many(rows, "row"))

    def left(scene: Scene) -> list[str]:
        named = {chunk for one in manifest.listed(scene.workspace) for chunk in _chunks(one)}
        loose = [f for f in files_of(scene.workspace, ("snapshots/data/chunks/*",)) if _digest(f) not in named]
        return sorted({*verify(scene), *told(scene, [file for file in loose if holds(file, scene.traces)])})

    return Holder(
        name="snapshots of the data", about="states of samples, votes and labels", places=_DATA, find=find,
        erase=erase, verify=left,
    )  # fmt: skip


def _chunks(one: manifest.DataSnapshot) -> list[str]:
    return [chunk for part in one.parts.values() for chunk in part]


def _digest(file: Path) -> str:
    return file.name.partition(".")[0]


def _cleaned(scene: Scene, folder: Path, file: Path) -> tuple[str | None, int]:
    """Write the chunk anew without rows of the forgotten: its new hash (``None``: it is empty), how many went."""
    lines = [line for line in gzip.decompress(file.read_bytes()).decode().split("\n") if line]
    kept, gone = list[str](), 0
    for line in lines:
        row = json.loads(line)
        if _about(scene, row):
            gone += 1
        else:
            stands = row.pop("representative", None)
            clean = scene.traces.cleaned(row)
            if "split" in clean:  # a row of splits, which says what it stands behind
                clean["representative"] = None if stands in scene.traces.known else stands
            kept.append(json.dumps(clean, sort_keys=True, ensure_ascii=False))
    return manifest.write_chunk(folder, kept), gone


def _about(scene: Scene, row: dict[str, Any]) -> bool:
    return row.get("id") in scene.traces.known or row.get("sample_id") in scene.traces.known


SNAPSHOT_HOLDERS: Sequence[Any] = (model_data, data_states)
