"""Whether the network that trainings start from has learned the images at hand: said before anybody trusts figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emolab.words import many

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.cli.common import Session
    from emolab.datasets.merge.report import MergeReport
    from emolab.training.learned.learned_images import Learned


def start_record(session: Session) -> tuple[str, Learned] | None:
    """The network the workspace's settings start from, by name, and its record; ``None`` where it has learned nothing.

    Does not import torch. ``None`` as well without the packages that trainings need.
    """
    from emolab.catalog import models as catalog_models

    try:
        from emolab.training.learned import learned_images as learned
        from emolab.training.networks import bundled
    except ImportError:
        return None
    workspace, training = session.workspace, session.workspace.config.training
    folder = bundled.folder(training.backbone) if training.weights == "default" else None
    if training.weights == "champion":
        with workspace.catalog() as catalog, catalog.connect() as conn:
            champion = catalog_models.find(conn, "champion")
        folder = workspace.root / champion.path if champion else None
    if folder is None:
        return None
    name = folder.name if folder.parent == bundled.ROOT else "the champion"
    return name, learned.read(folder / learned.FILE, of=name)


def learned_of(session: Session, report: MergeReport, *, options: Mapping[str, str]) -> dict[str, Any] | None:
    """How many of the images of a merge the start network has learned: ``by`` whom, ``n`` ``of`` all; else ``None``."""
    found = start_record(session)
    if found is None or not report.read:
        return None
    from emolab.training.learned import fingerprints

    name, record = found
    if not record.layers:
        return {"by": name, "n": 0, "of": len(report.images), "rate": 0.0, "unknown": list(record.unknown)}
    if report.dry_run:
        prints = fingerprints.of_media(_media(report, options), progress=session.progress)
    else:
        from emolab.cli.train import media_of

        workspace = session.workspace
        prints = fingerprints.fill(workspace.cache, report.images, media_of(workspace), progress=session.progress)
    return {
        "by": name,
        "n": int(record.has(prints).sum()),
        "of": len(prints),
        "rate": sum(record.rates),
        "unknown": list(record.unknown),
    }


def warn_of(session: Session, known: Mapping[str, Any] | None) -> None:
    """Say what :func:`learned_of` found, unless it is as few as are taken for learned ones by mistake."""
    from emolab.cli.common import escape

    if known is None:
        return
    for line in known["unknown"]:
        session.say(f"[yellow]![/] Unknown: {escape(line)}. It may have learned some of these images.")
    n, of = known["n"], known["of"]
    if n and (n == of or n > 1 + 3 * known["rate"] * of):
        session.say(
            f"[yellow]![/] {escape(known['by'])} has learned {n:,} of these {many(of, 'image')}: figures on them, by "
            "it or by models that start from it, flatter. Judge on others."
        )


def _media(report: MergeReport, options: Mapping[str, str]) -> list[bytes | Path]:
    """The readable images of the dataset of ``report``, which were not stored."""
    from pathlib import Path

    from emolab.datasets.readers.source import Damaged, as_reader
    from emolab.plugins import READERS

    records = as_reader(READERS.load(report.reader))(Path(report.path), options)
    return [record.media for record in records if not isinstance(record.media, Damaged)]
