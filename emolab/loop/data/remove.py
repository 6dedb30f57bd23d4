"""Samples are taken out of a workspace again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.given import several
from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.catalog.removal import Removal
    from emolab.progress import Progress
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Removed(Result):
    """What went, or would with a dry run: the ``plan``, and how many votes were (would be) withdrawn."""

    plan: Removal
    withdrawn: int
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Counts of what went and what stays, ready for JSON."""
        plan = self.plan
        return {
            "dry_run": self.dry_run,
            "removed": len(plan.samples),
            "votes_withdrawn": self.withdrawn,
            "labelled": plan.labelled,
            "kept_others_voted": len(plan.shared),
            "kept_sent": len(plan.sent),
        }


def remove(
    workspace: Workspace,
    *,
    sources: str | Sequence[str] = (),
    ids: str | Sequence[str] = (),
    agree: Callable[[Removal], None] | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Removed:
    """Take out the samples ``ids`` (or starts of ids) and all that came from ``sources``; their votes stay, withdrawn.

    ``agree`` is called with the plan before anything changes, and refuses by raising. Raises :class:`DataError` for a
    source or sample that there is not.
    """
    from emolab.datasets.remove import remove as run

    plan, withdrawn = run(
        workspace, sources=several(sources), ids=several(ids), agree=agree, dry_run=dry_run, progress=progress
    )
    return Removed(plan, withdrawn, dry_run)
