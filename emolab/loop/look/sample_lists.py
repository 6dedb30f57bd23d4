"""Lists of samples that a wall can show instead of all of them, each in an order that means something.

A list is what another step has worked out: suspected wrong labels, the faces that the team disagrees on most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.loop.label.advise import Advice
    from emolab.loop.look.judged import Judged
    from emolab.workspace import Workspace

#: The labels that ``suggest --advise`` doubts, worst first.
DOUBTFUL = "doubtful"
#: Validation samples of one class that a model took for another one (or the same), the surest answers first.
CELL = "cell"
#: Validation samples of one class, those that a model took for another one first.
OF_CLASS = "of"
#: Validation samples that a second model got right, got wrong, or answered in another way than the first.
DIFFERENCES = ("fixed", "broken", "changed")
#: Samples that two annotators, named by their keys in the catalog, gave different classes.
PAIR = "pair"
#: Samples that speak loudest of the newest window in which `emolab monitor` found that something moved.
DRIFTED = "drifted"


@dataclass(frozen=True)
class SampleList:
    """``ids`` in order, with ``notes`` on some of them; ``lacking`` says why there is none, ``hint`` what to type.

    ``said`` is the class that a model took them for.
    """

    ids: Sequence[str]
    notes: Mapping[str, str] = field(default_factory=dict)
    lacking: str | None = None
    hint: str | None = None
    said: Mapping[str, str] = field(default_factory=dict)


def read_list(workspace: Workspace, conn: Connection, name: str) -> SampleList:
    """The list called ``name``. Raises :class:`UnknownName` for one that there is not."""
    from emolab.errors import UnknownName

    kind, _, about = name.partition(":")
    if kind == DOUBTFUL and not about:
        return _doubtful(workspace, conn)
    parts = about.split(":")
    if (kind, len(parts)) in ((CELL, 3), (OF_CLASS, 2)):
        return _judged(workspace, conn, *parts)
    if kind in DIFFERENCES and len(parts) == 2:
        return _differing(workspace, conn, kind, *parts)
    if kind == PAIR and len(parts) == 2 and all(part.isdecimal() and len(part) < 10 for part in parts):
        return _pair(workspace, conn, int(parts[0]), int(parts[1]))
    if kind == DRIFTED and len(parts) == 1:
        return _moved(workspace, conn, about)
    judged = (f"{CELL}:MODEL:TRUE:SAID", f"{OF_CLASS}:MODEL:TRUE", f"{DRIFTED}:MODEL")
    raise UnknownName("list of samples", name, (DOUBTFUL, *judged, *(f"{d}:A:B" for d in (*DIFFERENCES, PAIR))))


def sizes(workspace: Workspace, conn: Connection) -> dict[str, int | None]:
    """How many samples each list holds; ``None`` where it has not been worked out."""
    found = _doubtful(workspace, conn)
    return {DOUBTFUL: None if found.lacking else len(found.ids)}


def _judged(workspace: Workspace, conn: Connection, name: str, true: str, said: str | None = None) -> SampleList:
    """Samples of the class ``true``, of one answer or of all."""
    from emolab.catalog import models
    from emolab.errors import UnknownName
    from emolab.loop.look.judged import judged, looks_again

    found = judged(workspace, conn, models.get(conn, name))
    for each in (true, said):
        if each is not None and each not in found.classes:
            raise UnknownName("class", each, found.classes)
    inside = found.truth == found.classes.index(true)
    if said is not None:
        inside &= found.guess == found.classes.index(said)
    return _surest_first(found, inside, missing=found.missing, hint=looks_again(workspace))


def _differing(workspace: Workspace, conn: Connection, kind: str, one: str, other: str) -> SampleList:
    from emolab.catalog import models
    from emolab.loop.look.judged import aligned, judged
    from emolab.loop.look.model_view import differences

    both = aligned(*(judged(workspace, conn, models.get(conn, name)) for name in (one, other)))
    if both is None:
        return SampleList((), lacking="The two models tell different classes apart.")
    return _surest_first(both[1], differences(*both)[kind], before=both[0])


def _pair(workspace: Workspace, conn: Connection, one: int, other: int) -> SampleList:
    from emolab.catalog import nicknames, tallies

    called, names = nicknames.by_pseudonym(conn), {key: name for name, key in tallies.annotator_keys(conn).items()}
    who = [called.get(names.get(key, ""), names.get(key, str(key))) for key in (one, other)]
    found = tallies.differing(conn, one, other, workspace.config.project.classes)
    notes = {sample: f"{who[0]}: {said}; {who[1]}: {told}" for sample, said, told in found}
    return SampleList(list(notes), notes)


def _moved(workspace: Workspace, conn: Connection, name: str) -> SampleList:
    """Those least like the reference first, of a model that was trained here or came with emolab."""
    from emolab.catalog import models
    from emolab.errors import UnknownName
    from emolab.loop.look.moved_record import read_moved

    try:
        model = models.get(conn, name).id
    except UnknownName:
        if not re.fullmatch("[0-9a-f]{64}", name):
            raise
        model = name
    found = read_moved(workspace, model)
    hint = "Look: emolab monitor"
    if found is None:
        return SampleList((), lacking="Nobody has looked at this model yet.", hint=hint)
    if not found.loudest:
        return SampleList((), lacking=found.words, hint=None)
    notes = {one: f"the model says {said}; {away:+.1f} SD from the reference" for one, away, said in found.loudest}
    return SampleList(list(notes), notes, said={one: said for one, _, said in found.loudest})


def _surest_first(
    found: Judged, inside: NDArray[np.bool_], *, before: Judged | None = None, missing: int = 0, hint: str = ""
) -> SampleList:
    """The samples ``inside`` (n,) of those that were judged, with what was said of each; wrong answers first."""
    import numpy as np

    rows = np.flatnonzero(inside)
    surest, guess = found.probs.max(axis=1), found.guess
    right = guess[rows] == found.truth[rows]
    # Where two models differ, and within a cell, the surest answers come first whether right or not.
    rows = rows[np.lexsort((-surest[rows], right if before is None else np.zeros(len(rows))))]
    earlier = None if before is None else (before.classes, before.guess, before.probs.max(axis=1))

    def note(row: int) -> str:
        said = f"{found.classes[guess[row]]} ({surest[row]:.0%})"
        if earlier is not None:
            classes, then, sure = earlier
            said = f"{classes[then[row]]} ({sure[row]:.0%}), then {said}"
        return f"{found.classes[found.truth[row]]}; the model says {said}"

    lacking = f"{missing:,} validation samples have no stored prediction, so some may be missing." if missing else None
    place = {found.ids[row]: row for row in rows.tolist()}
    said = _Told(place, lambda row: found.classes[guess[row]])
    return SampleList(list(place), _Told(place, note), lacking, hint if missing else None, said)


class _Told(Mapping[str, str]):
    """What ``tell`` says of samples, by id, put into words when it is asked for: a wall shows few of many thousands.

    ``place`` is the row of each.
    """

    def __init__(self, place: Mapping[str, int], tell: Callable[[int], str]) -> None:
        self._place, self._tell = place, tell

    def __getitem__(self, sample: str) -> str:
        return self._tell(self._place[sample])

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


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
