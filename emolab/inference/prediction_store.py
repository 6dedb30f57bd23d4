"""A model's probabilities and embeddings on disk: memory-mapped arrays, appended to, never rewritten.

One folder per model holds parts ``00000.probs.npy``, ``00000.embeddings.npy`` and ``00000.ids.txt``, and
``index.json`` that lists the complete parts: a part that a crash left unfinished is not listed and is overwritten by
the next writer.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import DataError
from emolab.files import write_text
from emolab.inference.id_matching import IdMatcher
from emolab.records import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INDEX = "index.json"
#: How samples are prepared before a model sees them (``emolab.modalities.preparing.VERSION`` is this number).
#: Predictions made from images prepared otherwise are as good as not there.
PREPARATION = 3
#: So many ids are looked for in the bytes of a part before its lines are told apart.
_FEW = 8


def known(folder: Path) -> list[str]:
    """Ids of the samples that have predictions in ``folder``, in stored order; empty when there are none."""
    return [sample for part in _parts(folder) for sample in _ids(folder, part)]


def append(folder: Path, predictions: Predictions) -> None:
    """Add predictions for further samples. One writer at a time (hold the workspace's lock).

    Raises :class:`DataError` when the folder holds another model's or other classes' predictions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = _index(folder) or {"model": predictions.model_id, "classes": list(predictions.classes), "parts": []}
    index["preparation"] = PREPARATION
    if (index["model"], tuple(index["classes"])) != (predictions.model_id, predictions.classes):
        raise DataError(f"{folder} holds predictions of model {index['model']}, not of {predictions.model_id}.")
    name = f"{len(index['parts']):05d}"
    np.save(folder / f"{name}.probs.npy", predictions.probs.astype(np.float32, copy=False))
    np.save(folder / f"{name}.embeddings.npy", predictions.embeddings.astype(np.float16, copy=False))
    write_text(folder / f"{name}.ids.txt", "\n".join(predictions.samples))
    index["parts"].append(name)
    write_text(folder / _INDEX, json.dumps(index))


def read(folder: Path, samples: Sequence[str] | None = None) -> Predictions:
    """Predictions of ``samples`` in that order, or of all that are stored.

    Raises :class:`DataError` when there are none, or not for every sample asked for.
    """
    index = _index(folder)
    if index is None or not index["parts"]:
        raise DataError(f"There are no predictions in {folder}.", hint="Make them with: emolab suggest")
    probs = [np.load(folder / f"{part}.probs.npy", mmap_mode="r") for part in index["parts"]]
    embeddings = [np.load(folder / f"{part}.embeddings.npy", mmap_mode="r") for part in index["parts"]]
    stored = known(folder)
    all_probs: NDArray[np.float32] = probs[0] if len(probs) == 1 else np.concatenate(probs)
    all_embeddings: NDArray[np.floating[Any]] = embeddings[0] if len(embeddings) == 1 else np.concatenate(embeddings)
    if samples is not None and list(samples) != stored:
        row = {sample: i for i, sample in enumerate(stored)}
        missing = [sample for sample in samples if sample not in row]
        if missing:
            raise DataError(f"{len(missing)} of {len(samples)} samples have no predictions of {index['model']} yet.")
        rows = np.fromiter((row[sample] for sample in samples), dtype=np.int64, count=len(samples))
        all_probs, all_embeddings, stored = all_probs[rows], all_embeddings[rows], list(samples)
    return Predictions(
        model_id=index["model"],
        classes=tuple(index["classes"]),
        samples=stored,
        probs=all_probs,
        embeddings=all_embeddings,
    )


def pick(folder: Path, samples: Sequence[str]) -> tuple[list[str], tuple[str, ...], NDArray[np.float32]]:
    """Those of ``samples`` that are stored, in their order, the classes, and the probabilities (m, k) of each.

    The parts are gone through one by one, so that little is held in memory however many are stored. Without any
    predictions there are no classes.
    """
    index = _index(folder)
    if index is None:
        return [], (), np.empty((0, 0), dtype=np.float32)
    k = len(index["classes"])
    probs, stored = np.empty((len(samples), k), dtype=np.float32), np.zeros(len(samples), dtype=bool)
    wanted = IdMatcher(samples)
    for part in index["parts"]:
        held = (folder / f"{part}.ids.txt").read_bytes()
        if len(samples) <= _FEW and not any(sample.encode() in held for sample in samples):
            continue
        rows, places = wanted.find(held)
        if len(rows):
            probs[places] = np.load(folder / f"{part}.probs.npy", mmap_mode="r")[rows]
            stored[places] = True
    if stored.all():
        return list(samples), tuple(index["classes"]), probs
    found = [sample for sample, there in zip(samples, stored.tolist(), strict=True) if there]
    return found, tuple(index["classes"]), probs[stored]


def every(folder: Path) -> list[str]:
    """The ids in all files of ``folder``, also of parts that are not listed or were prepared in another way."""
    return [each for file in sorted(folder.glob("*.ids.txt")) for each in file.read_text(encoding="utf-8").split("\n")]


def drop(folder: Path, samples: Collection[str]) -> int:
    """Take the predictions of ``samples`` out of ``folder``; how many went. Hold the workspace's lock.

    A process that dies on the way leaves fewer parts listed, whose predictions are made again.
    """
    index, gone = folder / _INDEX, set(samples)
    if gone.isdisjoint(every(folder)):
        return 0
    told: dict[str, Any] = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {"parts": []}
    kept: list[tuple[list[str], NDArray[np.float32], NDArray[np.float16]]] = []
    dropped = 0
    for part in told["parts"]:
        ids = _ids(folder, part)
        stay = [row for row, each in enumerate(ids) if each not in gone]
        arrays = [np.load(folder / f"{part}.{name}.npy")[stay] for name in ("probs", "embeddings")]
        dropped += len(ids) - len(stay)
        kept += [([ids[row] for row in stay], arrays[0], arrays[1])] if stay else []
    if index.exists():
        write_text(index, json.dumps({**told, "parts": []}))
    for file in (*folder.glob("*.ids.txt"), *folder.glob("*.probs.npy"), *folder.glob("*.embeddings.npy")):
        file.unlink()
    names = [f"{number:05d}" for number in range(len(kept))]
    for name, (ids, probs, embeddings) in zip(names, kept, strict=True):
        np.save(folder / f"{name}.probs.npy", probs)
        np.save(folder / f"{name}.embeddings.npy", embeddings)
        write_text(folder / f"{name}.ids.txt", "\n".join(ids))
    if index.exists():
        write_text(index, json.dumps({**told, "parts": names}))
    return dropped


def in_order(found: Predictions, classes: tuple[str, ...]) -> Predictions:
    """``found`` with its columns in the order of ``classes``, which are the same ones."""
    if classes == found.classes:
        return found
    return replace(found, classes=classes, probs=found.probs[:, [found.classes.index(name) for name in classes]])


def _index(folder: Path) -> dict[str, Any] | None:
    file = folder / _INDEX
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found if found.get("preparation") == PREPARATION else None


def _parts(folder: Path) -> list[str]:
    index = _index(folder)
    return [] if index is None else list(index["parts"])


def _ids(folder: Path, part: str) -> list[str]:
    return (folder / f"{part}.ids.txt").read_text(encoding="utf-8").split("\n")
