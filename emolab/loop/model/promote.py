"""A model becomes the champion by somebody's decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Promoted(Result):
    """Which ``model`` (id) has the name ``alias`` now, and which had it ``before``."""

    model: str
    alias: str
    before: str | None


def promote(workspace: Workspace, name: str, *, alias: str = "champion") -> Promoted:
    """Give the model that ``name`` means the name ``alias``, by default champion.

    Raises :class:`DataError` for what cannot be a name, :class:`UnknownName` for an unknown model.
    """
    from emolab.catalog import events, models
    from emolab.errors import DataError

    if not alias.isidentifier():
        raise DataError(f'"{alias}" cannot be a name for a model: use letters, digits and "_".')
    with workspace.catalog() as catalog, catalog.begin() as tx:
        found = models.get(tx, name)
        before = models.aliases(tx).get(alias)
        if before != found.id:
            models.set_alias(tx, alias, found.id)
            events.record(tx, "promote", {"model": found.id, "alias": alias, "before": before, "reason": "by hand"})
    return Promoted(found.id, alias, before)
