"""Which samples speak loudest of the newest window, kept for the app: ids, never pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.files import write_bytes
from emolab.loop.operate.monitor.look_record import home

if TYPE_CHECKING:
    from emolab.loop.operate.monitor.arrived_samples import MovedPictures
    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.workspace import Workspace

FILE = "moved.json"


@dataclass(frozen=True, kw_only=True)
class MovedSamples:
    """Samples of the window that begins at ``begin``: ``loudest`` first, each with how many standard deviations of the
    reference it lies ``away`` and what the model ``said``; ``beside`` are samples that judge models. ``words`` say what
    they are, or why there are none.
    """

    begin: str
    words: str
    loudest: tuple[tuple[str, float, str], ...] = ()
    beside: tuple[str, ...] = ()


def write_moved(workspace: Workspace, look: LookRecord, moved: MovedPictures) -> None:
    """Keep what moved in the window of ``look`` in the place of what was kept before."""
    told = {
        "version": 1,
        "begin": look.window.begin,
        "words": moved.words,
        "loudest": [{"sample": one.id, "away": round(away, 3), "said": said} for one, away, said in moved.loudest],
        "beside": [one.id for one in moved.beside],
    }
    write_bytes(home(workspace, look.model) / FILE, json.dumps(told, indent=1).encode(), mode=0o600)


def read_moved(workspace: Workspace, model: str) -> MovedSamples | None:
    """What was kept of ``model`` (id), without samples that are not there any more or may not be shown.

    ``None`` where nothing was kept, or what was cannot be read: the next `emolab monitor` writes it again.
    """
    from emolab.catalog import samples
    from emolab.catalog.privacy import consents

    try:
        told = json.loads((home(workspace, model) / FILE).read_text(encoding="utf-8"))
        kept = _parsed(told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    ids = [*(one for one, _, _ in kept.loudest), *kept.beside]
    with workspace.catalog() as catalog, catalog.connect() as conn:
        barred = consents.allowed(conn, "show", required=workspace.config.privacy.consent_required).barred
        there = set(samples.splits(conn, ids)) - set(barred)
    return MovedSamples(
        begin=kept.begin,
        words=kept.words,
        loudest=tuple(one for one in kept.loudest if one[0] in there),
        beside=tuple(one for one in kept.beside if one in there),
    )


def _parsed(told: Mapping[str, Any]) -> MovedSamples:
    return MovedSamples(
        begin=str(told["begin"]),
        words=str(told["words"]),
        loudest=tuple((str(one["sample"]), float(one["away"]), str(one["said"])) for one in told["loudest"]),
        beside=tuple(map(str, told["beside"])),
    )
