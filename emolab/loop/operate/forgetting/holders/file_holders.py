"""Holders that are files and nothing more: media, caches, predictions, logs, journals, pages."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.inference import prediction_store
from emolab.loop.operate.forgetting import scrub
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene, by_files, files_of, naming, told
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Parts of ``.emolab`` that hold no sample: locks, keys, pointers, what emolab keeps of the forgotten.
NOTHING = (
    *(".gitignore", "locks/*", "forgotten/*", "serving/keys.json*", "cache/tuning.json", "cache/engines/*"),
    "models/champion.json",
)
#: Numbers of the served model: embeddings without names, which nobody can tell apart by person.
SERVED = ("served/*",)
_MEDIA = ("media/*",)
_CACHE = ("cache/*",)
_PREDICTIONS = ("predictions/*",)
_LOGS = ("logs/*", "serving/*", "cycles/*", "monitor/*")


def media() -> Holder:
    """Pixels, sound and sentences themselves."""

    def theirs(scene: Scene) -> list[Path]:
        mine = {scene.workspace.locate(place) for place in scene.traces.media if place}
        return [
            file
            for file in files_of(scene.workspace, _MEDIA)
            if file.name.partition(".")[0] in scene.traces.known or file in mine
        ]

    def find(scene: Scene) -> Held:
        n = len(theirs(scene))
        return Held(n, many(n, "file"))

    def erase(scene: Scene) -> Erased:
        gone = theirs(scene)
        for file in gone:
            file.unlink(missing_ok=True)
        elsewhere = [place for place in scene.traces.media if place and ("://" in place or _outside(scene, place))]
        unreached = [f"The original at {place} is not emolab's: delete it there." for place in elsewhere]
        return Erased(len(gone), many(len(gone), "file"), unreached=unreached)

    return Holder(
        name="media", about="the pictures, recordings and sentences", places=_MEDIA, find=find, erase=erase,
        verify=lambda scene: told(scene, theirs(scene)),
    )  # fmt: skip


def _outside(scene: Scene, place: str) -> bool:
    return not scene.workspace.locate(place).is_relative_to(scene.workspace.state)


def caches() -> Holder:
    """Whatever is made again: pixels, features, fingerprints, thumbnails, looks."""
    find, named = by_files(_CACHE)

    def stores(scene: Scene) -> list[Path]:
        return [lock.parent for lock in sorted(scene.workspace.cache.glob("*/lock"))]

    def erase(scene: Scene) -> Erased:
        from emolab.training.inputs import row_store

        files = naming(scene, _CACHE)
        for store in stores(scene):
            row_store.drop(store, scene.traces.known)
        for file in files:
            if scene.traces.inside(file.name.encode()):
                file.unlink(missing_ok=True)
            elif file.exists() and file.name != row_store.KEYS:
                scrub.scrub(file, scene.traces)
        return Erased(len(files), many(len(files), "file"))

    def verify(scene: Scene) -> list[str]:
        from emolab.training.inputs import row_store

        return named(scene) + told(scene, [store for store in stores(scene) if row_store.torn(store)])

    return Holder(
        name="caches", about="pixels, features, fingerprints, thumbnails", places=_CACHE, find=find, erase=erase,
        verify=verify,
    )  # fmt: skip


def predictions() -> Holder:
    """Probabilities and embeddings, by model."""
    _, verify = by_files(_PREDICTIONS)

    def find(scene: Scene) -> Held:
        rows = sum(
            len(scene.traces.known.intersection(prediction_store.every(folder)))
            for folder in scene.workspace.predictions_folder.glob("*")
        )
        return Held(rows, many(rows, "row"))

    def erase(scene: Scene) -> Erased:
        folders = [folder for folder in scene.workspace.predictions_folder.glob("*") if folder.is_dir()]
        rows = sum(prediction_store.drop(folder, scene.traces.known) for folder in folders)
        for file in naming(scene, _PREDICTIONS):  # what else is kept beside them is made again
            file.unlink(missing_ok=True)
        return Erased(rows, many(rows, "row"))

    return Holder(
        name="predictions", about="what models said, and embeddings", places=_PREDICTIONS, find=find, erase=erase,
        verify=verify,
    )  # fmt: skip


def journals() -> Holder:
    """Logs of commands and servers, journals of cycles, pages of the monitor."""
    find, verify = by_files(_LOGS)

    def erase(scene: Scene) -> Erased:
        files = naming(scene, _LOGS)
        for file in files:
            if file.name.endswith(".samples.json"):  # beside a page with pictures, which it lists
                file.with_name(file.name.removesuffix(".samples.json") + ".html").unlink(missing_ok=True)
                file.with_name(file.name.removesuffix(".samples.json")).unlink(missing_ok=True)
                file.unlink()
            elif file.exists():
                scrub.scrub(file, scene.traces)
        return Erased(len(files), many(len(files), "file"))

    return Holder(
        name="logs", about="logs, journals of cycles, pages of the monitor", places=_LOGS, find=find, erase=erase,
        verify=verify,
    )  # fmt: skip


def references() -> Holder:
    """What a model says of the samples that its watch compares with: rows without names, whose ids lie beside them."""
    from emolab.loop.operate.monitor import reference_samples

    places = ("monitor/*/reference*.json", "monitor/*/seen.*.npy", "monitor/*/judged.*.npy")

    def homes(scene: Scene) -> list[Path]:
        found = {file.parent for file in files_of(scene.workspace, places[:1])}
        return sorted(home for home in found if scene.traces.ids and reference_samples.count(home, scene.traces.known))

    def find(scene: Scene) -> Held:
        n = sum(reference_samples.count(home, scene.traces.known) for home in homes(scene))
        return Held(n, many(n, "row"))

    def erase(scene: Scene) -> Erased:
        there = homes(scene)
        n = sum(reference_samples.drop(home, scene.traces.known) for home in there)
        ended = sum(not (home / reference_samples.REFERENCE).is_file() for home in there)
        begins = f"The next emolab monitor begins a new watch of {many(ended, 'model')}: the reference had to go."
        return Erased(n, many(n, "row"), notes=[begins] if ended else [])

    return Holder(
        name="references of the monitor", about="what models say of the samples that watches compare with",
        places=places, find=find, erase=erase, verify=lambda scene: told(scene, homes(scene)),
    )  # fmt: skip


def unfinished() -> Holder:
    """Trainings that were stopped, and their states: those on forgotten samples do not go on.

    A search for settings names no sample, but its data are part of its name: on other data it never goes on.
    """
    places = ("runs/*", "pretrained/*", "tunings/*")
    _, verify = by_files(places)

    def theirs(scene: Scene) -> list[Path]:
        named = {place.parent for place in naming(scene, places)}
        runs = scene.workspace.state / "runs"
        for folder in sorted(runs.glob("*")) if runs.is_dir() else ():
            texts = [file.read_text(encoding="utf-8", errors="replace") for file in folder.rglob("*.json")]
            if any(name in text for name in scene.snapshots for text in texts):
                named.add(folder)
        pretrainings = scene.workspace.state.glob("pretrained/run-*") if scene.traces.ids else ()
        searches = scene.workspace.state.glob("tunings/*")
        return sorted({*pretrainings, *searches, *named} - {runs, scene.workspace.state / "pretrained"})

    def find(scene: Scene) -> Held:
        n = len(theirs(scene))
        return Held(n, many(n, "stopped training"))

    def erase(scene: Scene) -> Erased:
        gone = theirs(scene)
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        return Erased(len(gone), many(len(gone), "stopped training"))

    return Holder(
        name="stopped trainings", about="states of trainings to go on with", places=places, find=find, erase=erase,
        verify=verify,
    )  # fmt: skip


def served() -> Holder:
    """The log of the served model: embeddings by day, without names."""

    def erase(scene: Scene) -> Erased:
        there = any(True for _ in files_of(scene.workspace, SERVED))
        note = (
            "The log of the served model (.emolab/served) has no names or ids, so nobody can find one person in it. "
            "To be rid of it: rm -r .emolab/served"
        )
        return Erased(0, "nothing that could be told apart", notes=[note] if there else [])

    return Holder(
        name="served log", about="numbers of what the served model saw", places=SERVED,
        find=lambda _scene: Held(0, "nothing that could be told apart"), erase=erase,
        verify=lambda scene: told(scene, naming(scene, SERVED)),
    )  # fmt: skip


FILE_HOLDERS: Sequence[Callable[[], Holder]] = (unfinished, references, predictions, caches, journals, served, media)
