"""Snapshots of a project, the cheapest way to read all of it, with nothing left behind on the server.

Label Studio keeps an export until somebody deletes it. A pull that dies cannot, so it notes beforehand that it will
make one, under a title that only this workspace gives; the next pull deletes what has this title and nothing else.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from emolab.catalog import settings
from emolab.catalog.storage.engine import now
from emolab.labeling.answers import timestamps
from emolab.labeling.label_studio.retry import patiently
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteTask

#: An export that is still being built after this long is built by nobody any more.
ABANDONED = timedelta(hours=1)


def snapshot(catalog: Catalog, studio: Studio, mine: Project, progress: Progress = SILENT) -> list[RemoteTask]:
    """Every task of the project with its answers, through an export that is deleted afterwards."""
    with catalog.begin() as tx:
        mark = hashlib.sha256(b"exports" + settings.secret(tx)).hexdigest()[:12]
        title = f"emolab pull {mark}"
        settings.put(tx, _note(mine), f"{title}|{now()}")
    tasks = patiently(lambda: studio.snapshot(mine.project, title=title), progress=progress)
    clear(catalog, studio, mine)
    return tasks


def clear(catalog: Catalog, studio: Studio, mine: Project) -> int:
    """Delete this workspace's exports that a pull may have left, and return how many; asks nothing without a note.

    One that the server still builds is left for the next time: it would come back when it is done.
    """
    with catalog.connect() as conn:
        title, _, since = (settings.get(conn, _note(mine)) or "").partition("|")
    if not title:
        return 0
    asked = timestamps.moment(since)  # by this machine's clock, like the moment it is compared with
    abandoned = asked is not None and datetime.now(UTC) - asked > ABANDONED
    deleted = building = 0
    for export in patiently(lambda: studio.exports(mine.project)):
        if export.title != title:
            continue
        if export.finished or abandoned:
            number = export.id
            patiently(lambda number=number: studio.delete_export(mine.project, number))  # type: ignore[misc]
            deleted += 1
        else:
            building += 1
    if not building or asked is None:
        with catalog.begin() as tx:
            settings.put(tx, _note(mine), f"{title}|{now()}" if building else "")
    return deleted


def _note(mine: Project) -> str:
    return f"export:{mine.server}:{mine.project}"
