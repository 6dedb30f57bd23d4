"""Who may change which model is in use: a guard against mistakes, no login."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.workspace import Workspace


def may_act(workspace: Workspace) -> bool:
    """Whether who acts now is one of ``operations.promoters``; everybody is where it names nobody."""
    from emolab.catalog.registry.actor import actor

    allowed = workspace.config.operations.promoters
    return not allowed or actor() in allowed


def check_actor(workspace: Workspace) -> None:
    """Raise :class:`EmolabError` where who acts now may not change which model is in use."""
    from emolab.catalog.registry.actor import ACTOR, actor
    from emolab.errors import EmolabError

    if not may_act(workspace):
        allowed = ", ".join(workspace.config.operations.promoters)
        raise EmolabError(
            f"{actor()} may not change which model is in use: operations.promoters names {allowed}.",
            hint=f"Ask one of them. Who acts is said by {ACTOR}=NAME before the command, else it is the user's name.",
        )
