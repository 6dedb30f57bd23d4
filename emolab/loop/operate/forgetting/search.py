"""What a wish to forget is about: which samples, what names them, and which snapshots, models and backups have them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError, UnknownName
from emolab.words import many

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.privacy.tombstones import Tombstones
    from emolab.loop.operate.forgetting.holder import Scene
    from emolab.loop.operate.forgetting.traces import Traces
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: Files beside the workspace that are looked at to see whether they are backups of it, at most.
_MOST = 500


@dataclass(frozen=True)
class Wish:
    """Samples by ``ids`` or starts of them, ``subjects``, ``sources`` and ``annotators``, as they were typed."""

    ids: Sequence[str] = ()
    subjects: Sequence[str] = ()
    sources: Sequence[str] = ()
    annotators: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.ids or self.subjects or self.sources or self.annotators)

    def keyed(self, tombstones: Tombstones) -> dict[str, Any]:
        """The same without names: keyed hashes of subjects and sources, and how many samples were named."""
        return {
            "samples": len(self.ids),
            "subjects": [tombstones.of_id(f"subject {each}") for each in self.subjects],
            "sources": [tombstones.of_id(f"source {each}") for each in self.sources],
            "annotators": [tombstones.of_id(f"annotator {each}") for each in self.annotators],
        }


def scene_of(workspace: Workspace, wish: Wish, progress: Progress) -> Scene:
    """Everything that is known about what is to be forgotten.

    Raises :class:`DataError` for a sample, subject or source that there is not.
    """
    from emolab.catalog.privacy.tombstones import Tombstones
    from emolab.loop.operate.forgetting import traces
    from emolab.loop.operate.forgetting.holder import Scene
    from emolab.loop.operate.forgetting.holders import model_holders
    from emolab.loop.operate.forgetting.holders.people_holder import find_annotators

    with workspace.catalog() as catalog, catalog.connect() as conn:
        if wish.annotators:
            theirs = find_annotators(workspace, conn, wish.annotators)
            return Scene(workspace=workspace, traces=theirs, progress=progress)
        ids = list(dict.fromkeys(_sample(conn, Tombstones(workspace), each) for each in wish.ids))
        _check(conn, wish)
        ids = list(dict.fromkeys([*ids, *traces.chosen(conn, subjects=wish.subjects, sources=wish.sources)]))
        found = traces.collect(conn, ids, subjects=wish.subjects, sources=wish.sources, common=_common(workspace))
        scene = Scene(workspace=workspace, traces=found, progress=progress)
        found = replace(found, prints=model_holders.prints_of(scene), looks=_looks(workspace, found, progress))
        scene = replace(scene, traces=found)
        scene = replace(scene, snapshots=model_holders.with_them(scene))
        return replace(scene, models=model_holders.learned_from(scene, conn))


def _looks(workspace: Workspace, found: Traces, progress: Progress) -> tuple[int, ...]:
    """The numbers by which copies of the pictures in ``found`` are known: of each that shows enough, its own hash."""
    from emolab.datasets.near_copies import thumbnails
    from emolab.modalities.image.look import known_by

    if not found.phashes:
        return ()
    file, kept = workspace.cache / thumbnails.LOOKS, {}
    if file.is_file():
        with thumbnails.Looks(file) as looks:
            kept = looks.of(found.ids)
    places = zip(found.ids, found.media, strict=True)
    each = [kept[name] if name in kept else thumbnails.of_media(workspace.root / place) for name, place in places]
    seen = [look for look in each if look is not None]
    if missing := len(found.phashes) - len(seen):
        progress.warn(f"{many(missing, 'picture')} cannot be read: copies in other sizes will not be known.")
    return tuple(number for look in seen for number in known_by(look)[:1])


def _common(workspace: Workspace) -> frozenset[str]:
    """Words that stand in many places for something else: no name is looked for that is one of them."""
    from emolab.records import HOLDOUT, PERSPECTIVES, SPLITS
    from emolab.taxonomy import META

    project = workspace.config.project
    own = ("champion", "candidate", project.name, project.modality)
    return frozenset((*project.classes, *META, *SPLITS, *PERSPECTIVES, HOLDOUT, *own))


def _sample(conn: Connection, tombstones: Tombstones, start: str) -> str:
    from emolab.provenance import sample_history

    found = list(sample_history.find_samples(conn, start)) if start else []
    if len(found) == 1:
        return found[0]
    if not found and len(start) == 64 and tombstones.known(start):
        raise DataError(f"Sample {start[:12]} was forgotten already.", hint="The certificates are in .emolab/forgotten")
    what = "more than one sample" if found else "no sample"
    raise DataError(f'There is {what} whose id starts with "{start}".', hint="Give more of the id.")


def _check(conn: Connection, wish: Wish) -> None:
    """Raise where nothing is known of a subject or source."""
    from sqlalchemy import select

    from emolab.catalog.privacy import subjects
    from emolab.catalog.storage import schema

    for name in wish.subjects:
        subjects.check(conn, name, besides=wish.subjects)
    column = schema.samples.c.source
    known = {str(name) for name in conn.execute(select(column).distinct().where(column.is_not(None))).scalars()}
    for name in wish.sources:
        if name not in known:
            raise UnknownName("source", name, known)


def brought_back(conn: Connection, tombstones: Tombstones) -> tuple[list[str], list[str], list[str]]:
    """What was forgotten and is here: samples, subjects of whom there is no other sample, and annotators."""
    from sqlalchemy import select

    from emolab.catalog.privacy import consents, renamed_annotators
    from emolab.catalog.storage import schema

    table = schema.samples.c
    groups = {sample: group for sample, group in conn.execute(select(table.id, table.group))}
    gone = tombstones.among(groups)
    kept = {group for sample, group in groups.items() if sample not in set(gone)}
    named = {str(group) for group in groups.values() if group}
    named |= {each.subject for each in consents.entries(conn, superseded=True) if each.subject}
    voted = [name for name in renamed_annotators.known(conn) if tombstones.known(f"annotator {name}")]
    return gone, sorted(each for each in named - kept if tombstones.known(f"subject {each}")), voted


def states(scene: Scene) -> list[str]:
    """The ids of the snapshots of the data that hold a trace."""
    from emolab.loop.operate.forgetting.holder import files_of, holds
    from emolab.provenance import manifest

    chunks = {
        file.name.partition(".")[0]
        for file in files_of(scene.workspace, ("snapshots/data/chunks/*",))
        if holds(file, scene.traces)
    }
    return [
        one.id
        for one in manifest.listed(scene.workspace)
        if any(chunk in chunks for part in one.parts.values() for chunk in part)
    ]


def backups(workspace: Workspace) -> list[str]:
    """Backups of the workspace beside it, and states that a restore moved aside: emolab opens none of them."""
    from emolab.loop.data.backup.manifest import NAME

    root = workspace.root
    found = [path for path in sorted(root.glob(".emolab-before-*")) if path.is_dir()]
    beside = [path for folder in (root, root.parent) for path in sorted(folder.iterdir())[:_MOST] if path.is_file()]
    found += [path for path in beside if _is_backup(path, NAME, workspace.config.project.name)]
    return [str(path) for path in dict.fromkeys(found)]


def _is_backup(file: Path, name: str, project: str) -> bool:
    try:
        if not zipfile.is_zipfile(file):
            return False
        with zipfile.ZipFile(file) as archive:
            return name in archive.namelist() and json.loads(archive.read(name)).get("project") == project
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
