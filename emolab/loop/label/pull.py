"""The team's answers become votes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from emolab.loop.given import check_given
from emolab.loop.label.recall import Recall, recall
from emolab.loop.label.relearn import relearn
from emolab.progress import SILENT

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.sync.pull import PullReport
    from emolab.progress import Progress
    from emolab.workspace import Workspace


def pull(
    workspace: Workspace,
    *,
    title: str | None = None,
    reconcile: bool = False,
    accept_withdrawn: int | None = None,
    progress: Progress = SILENT,
) -> PullReport:
    """Bring new, edited and deleted answers into the ledger of votes; each counts once.

    Answers of the app that are not on the server yet are sent first. After ``labeling.relearn`` new votes the open
    tasks are put in a new order. Tasks of samples whose consent has ended are taken off the server.

    ``title`` names one project [all that were pushed to]; ``reconcile`` reads every task again; ``accept_withdrawn``
    withdraws exactly so many votes that an earlier pull held back. Raises :class:`EmolabError` without a server.
    """
    from emolab.labeling.server.address import open_studio
    from emolab.labeling.sync.pull import pull as run

    check_given({"option.count": accept_withdrawn})
    with open_studio(workspace, progress=progress) as studio:
        _send_first(workspace, studio, progress)
        report = run(
            workspace, studio, title=title, reconcile=reconcile, accept_withdrawn=accept_withdrawn, progress=progress
        )
        recalled = recall(workspace, studio)
        renewed = relearn(workspace, studio, progress=progress)
    if renewed.problem:
        progress.note(renewed.problem)
    return replace(report, recalled=recalled, reordered=renewed.tasks)


def _send_first(workspace: Workspace, studio: Studio, progress: Progress) -> None:
    """Send what waits in the app; what cannot be sent is said and goes on waiting, and the pull goes on."""
    from emolab.errors import EmolabError
    from emolab.loop.label.voting.sending import send_waiting

    try:
        send_waiting(workspace, studio)
    except EmolabError as error:
        progress.note(f"Answers of the app wait: {error}")


def watch(
    workspace: Workspace, *, title: str | None = None, every: float = 5.0, progress: Progress = SILENT
) -> Iterator[PullReport]:
    """Pull again and again, ``every`` so many seconds, until nobody asks for more; see :func:`pull`.

    Raises :class:`EmolabError` without a server.
    """
    from emolab.labeling.server.address import open_studio
    from emolab.labeling.sync.pull import watch as run

    check_given({"option.pause": every})
    with open_studio(workspace, progress=progress) as studio:
        progress.note(f"watching {studio.url} every {every:g} s; Ctrl-C ends it.")
        told, recalling = "", Recall(workspace, studio)
        _send_first(workspace, studio, progress)
        for report in run(workspace, studio, title=title, every=every, progress=progress):
            _send_first(workspace, studio, SILENT)
            recalled = recalling.after(news=report.changed)
            renewed = relearn(workspace, studio, progress=progress)
            if renewed.problem and renewed.problem != told:
                progress.note(renewed.problem)
            told = renewed.problem
            yield replace(report, recalled=recalled, reordered=renewed.tasks)


def wanting_one_more(workspace: Workspace) -> int:
    """How many answered samples want one more opinion; none where every sample gets as many votes."""
    from emolab.loop.label.revotes import opinion, wanted_revotes

    if not workspace.config.labeling.wanted.adaptive:
        return 0
    return len(wanted_revotes(workspace, opinion(workspace)))
