"""Whether Label Studio still counts the answers it holds.

Release 1.23 stops when several projects are deleted at once, until it is started again: it takes the receivers of its
signals away for the time of a deletion, and the second deletion puts none back. Its queue then asks more people about
a sample than were wanted. The embedded server is mended (``emolab_studio.silent_signals``); of
others this is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emolab.errors import ServerError
from emolab.labeling.label_studio.retry import patiently

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteTask


def uncounted(studio: Studio, tasks: Sequence[RemoteTask]) -> int:
    """How many of ``tasks`` have more answers than the server counts.

    An answer is counted a moment after it is saved, so one of them is looked at again before that is believed.
    """
    found = [task for task in tasks if _short(task)]
    if not found:
        return 0
    try:
        again = patiently(lambda: studio.task(found[0].id))
    except ServerError as error:
        if error.status != 404:  # deleted meanwhile
            raise
        return 0
    return len(found) if _short(again) else 0


def _short(task: RemoteTask) -> bool:
    given = sum(not answer.was_cancelled for answer in task.annotations)
    return task.total_annotations is not None and task.total_annotations < given
