"""Whether the network that trainings start from has learned the images of a merge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emolab.loop.sample_files import media_of
from emolab.progress import SILENT

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.datasets.merge.report import MergeReport
    from emolab.progress import Progress
    from emolab.training.learned.learned_images import Learned
    from emolab.workspace import Workspace


def start_record(workspace: Workspace) -> tuple[str, Learned] | None:
    """The network the workspace's settings start from, by name, and its record; ``None`` where it has learned nothing.

    Does not import torch. ``None`` as well without the packages that trainings need.
    """
    from emolab.catalog import models

    try:
        from emolab.training.learned import learned_images
        from emolab.training.networks import bundled
    except ImportError:
        return None
    training = workspace.config.training
    folder = bundled.folder(training.backbone) if training.weights == "default" else None
    if training.weights == "champion":
        with workspace.catalog() as catalog, catalog.connect() as conn:
            champion = models.find(conn, "champion")
        folder = workspace.root / champion.path if champion else None
    if folder is None:
        return None
    name = folder.name if folder.parent == bundled.ROOT else "the champion"
    return name, learned_images.read(folder / learned_images.FILE, of=name)


def learned_of(
    workspace: Workspace, report: MergeReport, *, options: Mapping[str, str], progress: Progress = SILENT
) -> dict[str, Any] | None:
    """How many of the images of a merge the start network has learned: ``by`` whom, ``n`` ``of`` all; else ``None``."""
    found = start_record(workspace)
    if found is None or not report.read:
        return None
    from emolab.training.learned import fingerprints

    name, record = found
    if not record.layers:
        return {"by": name, "n": 0, "of": len(report.images), "rate": 0.0, "unknown": list(record.unknown)}
    if report.dry_run:
        prints = fingerprints.of_media(_media(report, options), progress=progress)
    else:
        prints = fingerprints.fill(workspace.cache, report.images, media_of(workspace), progress=progress)
    return {
        "by": name,
        "n": int(record.has(prints).sum()),
        "of": len(prints),
        "rate": sum(record.rates),
        "unknown": list(record.unknown),
    }


def _media(report: MergeReport, options: Mapping[str, str]) -> list[bytes | Path]:
    """The readable images of the dataset of ``report``, which were not stored."""
    from pathlib import Path

    from emolab.datasets.readers.reader import as_reader
    from emolab.datasets.readers.source import Damaged
    from emolab.plugins import READERS

    records = as_reader(READERS.load(report.reader))(Path(report.path), options)
    return [record.media for record in records if not isinstance(record.media, Damaged)]
