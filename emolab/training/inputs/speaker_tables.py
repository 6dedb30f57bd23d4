"""Which table each clip of a workspace is normalised by: that of all clips of its speaker known at the time.

Clips that judge, and clips without a label, take part in it; labels do not. So what is measured is transductive, and
every report says so. Clips that may not be trained on take no part, unless their speaker has no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from emolab.catalog import samples
from emolab.catalog.privacy import consents
from emolab.errors import DataError
from emolab.files import write_bytes
from emolab.modalities.preparing import Preprocessing
from emolab.modalities.speaker_levels import VALUES, counted, table
from emolab.progress import SILENT, Progress
from emolab.training.inputs import pixel_cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.workspace import Workspace

#: Where a run keeps the tables it began with.
FILE = "speakers.safetensors"
#: Clips that are counted together.
PART = 256


def filled(
    workspace: Workspace,
    ids: Sequence[str],
    wanted: Preprocessing,
    *,
    kept: Path | None = None,
    progress: Progress = SILENT,
) -> Pixels:
    """The pixels of the samples ``ids`` as ``wanted`` says, each normalised where that is asked for.

    With ``kept``, the folder of a run, the tables are those that the run began with. Raises :class:`DamagedMedia` as
    :func:`pixel_cache.fill` does, and :class:`DataError` where it is not known who speaks.
    """
    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {sample.id: workspace.locate(sample.media) for sample in samples.iterate(conn)}
    pixels = pixel_cache.fill(workspace.cache, ids, paths.__getitem__, wanted.plain, progress=progress)
    if wanted.normalised_by is None:
        return pixels
    if kept is not None and (kept / FILE).is_file():
        found = load_file(kept / FILE)
        return replace(pixels, tables=found["tables"], speakers=found["speakers"])
    tables, of = _by_speaker(workspace, ids, wanted, progress)
    if kept is not None:
        write_bytes(kept / FILE, save({"tables": tables, "speakers": of}))
    return replace(pixels, tables=tables, speakers=of)


def of_samples(
    workspace: Workspace, ids: Sequence[str], wanted: Preprocessing, *, progress: Progress = SILENT
) -> list[NDArray[np.uint8]] | None:
    """The table (height, 256) of the speaker of each of ``ids``; ``None`` where nothing is normalised.

    Raises :class:`DataError` where it is not known who speaks.
    """
    if wanted.normalised_by is None:
        return None
    tables, of = _by_speaker(workspace, ids, wanted, progress)
    return [tables[speaker] for speaker in of.tolist()]


def _by_speaker(
    workspace: Workspace, ids: Sequence[str], wanted: Preprocessing, progress: Progress
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The tables (speakers, height, 256), and which of them each of ``ids`` (n,) has."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        pool = list(samples.iterate(conn))
        barred = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required).barred
    groups = {sample.id: sample.group for sample in pool}
    require_known(ids, groups)
    names = dict.fromkeys(str(groups[sample]) for sample in ids)
    place = {name: number for number, name in enumerate(names)}
    of = np.array([place[str(groups[sample])] for sample in ids], dtype=np.int64)
    clips = {sample.id: place[sample.group] for sample in pool if sample.group in place}
    free = {speaker for sample, speaker in clips.items() if sample not in barred}
    clips = {sample: speaker for sample, speaker in clips.items() if sample not in barred or speaker not in free}
    paths = {sample.id: workspace.locate(sample.media) for sample in pool}
    return _tables(workspace, clips, paths, wanted.plain, progress), of


def require_known(ids: Sequence[str], groups: dict[str, str | None]) -> None:
    """Raise :class:`DataError` where of some of ``ids`` nobody knows the speaker by ``groups``."""
    nobody = sum(groups.get(sample) is None for sample in ids)
    if nobody:
        raise DataError(
            f"Of {nobody:,} of {len(ids):,} clips it is not known who speaks, so they cannot be normalised by speaker.",
            hint="Collect them with --group-by, or use a model trained with --set training.normalise=none",
        )


def _tables(
    workspace: Workspace,
    clips: dict[str, int],
    paths: dict[str, Path],
    wanted: Preprocessing,
    progress: Progress,
) -> NDArray[np.uint8]:
    """The table of each speaker (counted from 0) by those of the ``clips`` (id: speaker) that can be read."""
    ids, speakers = list(clips), list(clips.values())
    damaged = pixel_cache.find_damaged(workspace.cache, ids, paths.__getitem__, wanted, progress=progress)
    whole = [row for row, sample in enumerate(ids) if sample not in damaged]
    pixels = pixel_cache.fill(workspace.cache, [ids[row] for row in whole], paths.__getitem__, wanted)
    counts = np.zeros((max(speakers) + 1, wanted.shape[0], VALUES), dtype=np.int64)
    order = np.argsort([speakers[row] for row in whole], kind="stable")
    for start in range(0, len(order), PART):
        part = order[start : start + PART].astype(np.int64)
        shown = pixels.take(part)
        who = np.array([speakers[whole[row]] for row in part.tolist()], dtype=np.int64)
        for speaker in np.unique(who).tolist():
            counts[speaker] += counted(shown[who == speaker])
    return np.stack([table(each) for each in counts])
