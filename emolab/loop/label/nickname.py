"""A name for an annotator that is kept here only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Nickname(Result):
    """The pseudonym of an ``annotator``, the name given, and the one ``before``; ``None``: no name."""

    annotator: str
    nickname: str | None
    before: str | None


def nickname(workspace: Workspace, pseudonym: str, name: str | None) -> Nickname:
    """Call the annotator ``pseudonym`` by ``name`` here; ``None`` takes the name away. Label Studio is never told.

    Raises :class:`UnknownName` for a pseudonym that nobody has.
    """
    from emolab.catalog import nicknames

    with workspace.catalog() as catalog, catalog.begin() as tx:
        who, before = nicknames.give(tx, pseudonym, name)
        return Nickname(who, nicknames.by_pseudonym(tx).get(who), before)
