"""Samples of the workspace that came in during a window: the log has nothing to show, these have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import DataError
from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.loop.operate.monitor.watch_reference import WatchReference
    from emolab.loop.operate.monitor.watched_model import WatchedModel
    from emolab.progress import Progress
    from emolab.records import Sample
    from emolab.workspace import Workspace

#: Samples that are looked at for pictures; of more so many are drawn.
MOST = 2_000
#: Pictures of each side.
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class MovedPictures:
    """``loudest`` samples of a window, least like the reference first, each with its distance and what the model says;
    ``beside``: some of the reference's samples. ``words`` say what they are, or why there are none.
    """

    words: str
    loudest: tuple[tuple[Sample, float, str], ...] = ()
    beside: tuple[Sample, ...] = ()


def arrived_samples(workspace: Workspace, begin: str, end: str, purpose: str) -> list[Sample]:
    """Samples that came in from ``begin`` until before ``end`` (ISO, UTC), whose files are here and which ``purpose``
    (as in the consent register) may use; near copies count once.
    """
    from emolab.catalog import samples
    from emolab.catalog.privacy import consents

    with workspace.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, purpose, required=workspace.config.privacy.consent_required)
        found = [
            one for one in samples.iterate(conn, representatives=True, added=(begin, end)) if one.id not in may.barred
        ]
    return [one for one in found if workspace.locate(one.media).is_file()]


def moved_pictures(
    workspace: Workspace,
    watched: WatchedModel,
    reference: WatchReference,
    look: LookRecord,
    *,
    progress: Progress,
) -> MovedPictures:
    """What speaks loudest of the window of ``look``, beside the reference; only where a test of it is an alarm."""
    from datetime import datetime

    from emolab.loop.operate.monitor.sample_columns import sample_columns
    from emolab.loop.operate.monitor.seen_windows import observed
    from emolab.monitoring.detectors.domain_classifier import loudness

    if not any(test.alarm for test in look.tests):
        return MovedPictures(words="Nothing has moved in the newest window, so there is nothing to show.")
    found = _some(arrived_samples(workspace, look.window.begin, look.window.end, "show"))
    if not found:
        return MovedPictures(
            words="The log keeps numbers alone, and no sample came into the workspace in this time: nothing to show. "
            "Bring some of what is served in with: emolab collect PATH"
        )
    try:
        columns, rows = sample_columns(workspace, watched.served(workspace, progress), found, progress=progress)
    except DataError as error:
        return MovedPictures(words=f"No picture can be chosen: {error.message}")
    window, _ = observed(watched.log, *map(datetime.fromisoformat, (look.window.begin, look.window.end)))
    if not len(window) or not len(columns):
        return MovedPictures(words="Of this window nothing is left in the log to choose pictures by.")
    away = loudness(reference.seen, window, columns.embeddings)
    said = [", ".join(np.array(watched.classes)[row].tolist()) for row in columns.answers()]
    order = np.argsort(-away, kind="stable")[:SHOWN]
    return MovedPictures(
        words=f"{many(len(order), 'sample')} of {len(found):,} that came into the workspace in this time: those least "
        "like the reference, the least first. Distances are in standard deviations (SD) of the reference.",
        loudest=tuple((found[int(rows[i])], float(away[i]), said[i]) for i in order.tolist()),
        beside=_beside(workspace),
    )


def _beside(workspace: Workspace) -> tuple[Sample, ...]:
    """Some samples that judge models here, to be shown."""
    from emolab.catalog import samples
    from emolab.catalog.privacy import consents
    from emolab.loop.operate.monitor.watch_reference import JUDGING

    with workspace.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, "show", required=workspace.config.privacy.consent_required)
        found = [one for split in JUDGING for one in samples.iterate(conn, split=split) if one.id not in may.barred]
    return tuple(_some([one for one in found if workspace.locate(one.media).is_file()], SHOWN))


def _some(found: list[Sample], most: int = MOST) -> list[Sample]:
    """At most ``most`` of ``found``, evenly drawn, always the same ones."""
    if len(found) <= most:
        return found
    rows = np.sort(np.random.default_rng(len(found)).choice(len(found), most, replace=False))
    return [found[i] for i in rows.tolist()]


def thumbnails_of(workspace: Workspace, found: list[Sample], skipped: Callable[[Sample], object]) -> dict[str, bytes]:
    """A small picture by sample id; ``skipped`` is told of those whose file cannot be shown."""
    from emolab.loop.look.thumbnails import Thumbnails

    made, pictures = Thumbnails(workspace), {}
    for one in found:
        try:
            pictures[one.id] = made.get(one.id, one.media)
        except DataError:
            skipped(one)
    return pictures
