"""Lists of samples that a wall can show instead of all of them, each in an order that means something.

A list is what another step has worked out: suspected wrong labels, the faces that the team disagrees on most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.loop.label.advise import Advice
    from emolab.workspace import Workspace

#: The labels that ``suggest --advise`` doubts, worst first.
DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class SampleList:
    """``ids`` in order, with ``notes`` on some of them; ``lacking`` says why there is none, ``hint`` what to type."""

    ids: Sequence[str]
    notes: Mapping[str, str] = field(default_factory=dict)
    lacking: str | None = None
    hint: str | None = None


def read_list(workspace: Workspace, conn: Connection, name: str) -> SampleList:
    """The list called ``name``. Raises :class:`UnknownName` for one that there is not."""
    from emolab.errors import UnknownName

    if name == DOUBTFUL:
        return _doubtful(workspace, conn)
    raise UnknownName("list of samples", name, (DOUBTFUL,))


def sizes(workspace: Workspace, conn: Connection) -> dict[str, int | None]:
    """How many samples each list holds; ``None`` where it has not been worked out."""
    found = _doubtful(workspace, conn)
    return {DOUBTFUL: None if found.lacking else len(found.ids)}


def _doubtful(workspace: Workspace, conn: Connection) -> SampleList:
    kept = _advice(workspace, conn)
    if kept is None:
        return SampleList(
            (),
            lacking="Labels have not been judged since the last votes, labels or model.",
            hint="Let the champion judge them: emolab suggest --advise",
        )
    if kept.finding is None or kept.finding["relabelling"] is None:
        return SampleList((), lacking=kept.sentence, hint=kept.next)
    notes = {
        one["sample"]: f"{one['label']} is wrong with a chance of {one['wrong']:.0%}; look at {one['instead']}"
        for one in kept.doubtful
    }
    return SampleList([one["sample"] for one in kept.doubtful], notes)


def _advice(workspace: Workspace, conn: Connection) -> Advice | None:
    """What ``suggest --advise`` said about the labels, votes and champion that there are now."""
    from emolab.catalog import labels, models, tallies
    from emolab.loop.label import advise

    champion, head = models.find(conn, "champion"), labels.head(conn)
    if champion is None or head is None:
        return None
    return advise.read(workspace, champion.id, head.version, tallies.count(conn)["people"])
