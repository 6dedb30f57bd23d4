"""What the last pull of a project left, and whether this one may begin there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.progress import Progress

#: Every so many pulls all answers are read and compared, to see what stamps and numbers did not tell.
RECONCILE_EVERY = 50
#: Marks cursors made of the data's own moments; older catalogs hold some from another clock, perhaps in the future.
BY_DATA = "data"
#: Changed whenever answers are understood in another way than before: the next pull reads all of them again.
_RULES = "3: the team's own stars"


@dataclass(frozen=True)
class PullSides:
    """What is read: a project of the catalog as ``remote`` shows it on the server."""

    catalog: Catalog
    studio: Studio
    mine: Project
    remote: RemoteProject
    progress: Progress


@dataclass(frozen=True)
class LastPull:
    """What the last pull left: ``since`` when to read (``None``: everything), ``seen`` the fingerprint of its window.

    ``stamp`` stands for the classes and rules of today, ``unlisted`` for answers that tasks did not show, ``newest``
    for the last task, ``others`` for tasks that the catalog does not know, ``watched`` for second tasks to look at
    again, ``asked`` for how many people saw each sample.
    """

    stamp: str
    since: str | None
    seen: object
    unlisted: int
    newest: int
    others: int
    watched: Sequence[int]
    asked: object


def last_pull(mine: Project, classes: Sequence[str], *, everything: bool) -> LastPull:
    """What the last pull of a project left; ``since`` is ``None`` where everything has to be read again."""
    before = mine.window or {}
    stamp = hashlib.sha256("\n".join((*classes, _RULES)).encode()).hexdigest()[:12]
    since = mine.cursor if before.get("clock") == BY_DATA and before.get("classes") == stamp else None
    if everything or before.get("held") or (mine.pulls + 1) % RECONCILE_EVERY == 0:
        since = None
    return LastPull(
        stamp=stamp,
        since=since,
        seen=before.get("seen"),
        unlisted=int(before.get("unlisted", 0)),
        newest=int(before.get("newest", 0)),
        others=int(before.get("others", 0)),
        watched=[int(task) for task in before.get("watched", [])],
        asked=before.get("asked"),
    )
