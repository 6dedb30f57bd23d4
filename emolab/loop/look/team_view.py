"""The team as a page shows it: votes by person and class, agreement, who differs with whom, what to talk about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result

if TYPE_CHECKING:
    from collections import Counter

    from emolab.records import VoteTable
    from emolab.workspace import Workspace

#: Faces to talk about in a meeting.
FACES = 20
#: People whose pairs are shown, those with the most votes.
PAIRED = 24


@dataclass(frozen=True, kw_only=True)
class TeamView(Result):
    """What ``label status`` says (``status``), and beside it who gave how many votes of which class.

    ``people`` have their ``key`` in the catalog and votes by class. ``pairs`` name two people by their place in
    ``people``, with how many samples they share and on how many they said the same. ``disputed`` are the samples the
    team differs on most, with who said what.
    """

    status: Mapping[str, Any]
    next: str
    classes: Sequence[str]
    people: Sequence[Mapping[str, Any]]
    pairs: Sequence[Mapping[str, int]]
    disputed: Sequence[Mapping[str, Any]]
    at: str


def team_view(workspace: Workspace) -> TeamView:
    """How the team labels, from the votes there are now. Without any vote there is little to tell, but no error."""
    from emolab.catalog import tallies
    from emolab.catalog.storage.engine import now
    from emolab.labeling.labels.disagreement import by_pair, most_disputed
    from emolab.loop.label.label_status import status_and_votes
    from emolab.votes.table import of

    told, table = status_and_votes(workspace)
    classes = workspace.config.project.classes
    names = [person.name for person in sorted(told.people, key=lambda person: -person.votes)]
    place = {name: row for row, name in enumerate(names)}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        keys = tallies.annotator_keys(conn)
    table = of(table, set(names))
    rows, differing = most_disputed(table, FACES)
    disputed = [
        {"sample": table.samples[row], "differ": share, "answers": _answers(table, row, told.nicknames)}
        for row, share in zip(rows.tolist(), differing.tolist(), strict=True)
    ]
    by_class = _by_class(table)
    paired = by_pair(of(table, set(names[:PAIRED])))
    return TeamView(
        status=told.to_dict(),
        next=told.next,
        classes=classes,
        people=[
            {
                "name": name,
                "called": told.nicknames.get(name, name),
                "key": keys[name],
                "by_class": {label: by_class[name, label] for label in classes},
            }
            for name in names
        ],
        pairs=[
            {"one": place[pair.one], "other": place[pair.other], "shared": pair.shared, "same": pair.same}
            for pair in paired
        ],
        disputed=disputed,
        at=now(),
    )


def state_of_votes(workspace: Workspace) -> str:
    """What a view of the team is made of, in short: the same state gives the same view, but for what was sent since."""
    from emolab.catalog import labels, ledger_mark, nicknames
    from emolab.catalog.campaign import rounds

    with workspace.catalog() as catalog, catalog.connect() as conn:
        head = labels.head(conn)
        known = ledger_mark.mark(conn), head and head.version, rounds.count(conn), rounds.count_unsent(conn)
        return repr((*known, sorted(nicknames.by_pseudonym(conn).items())))


def _by_class(table: VoteTable) -> Counter[tuple[str, str]]:
    """Votes by annotator and class."""
    from collections import Counter

    import numpy as np

    w, k = len(table.annotators), len(table.classes)
    cells = table.annotator.astype(np.int64) * k + table.label
    n = np.bincount(cells, weights=table.weight, minlength=w * k).reshape(w, k)
    return Counter(
        {(who, label): int(n[a, c]) for a, who in enumerate(table.annotators) for c, label in enumerate(table.classes)}
    )


def _answers(table: VoteTable, row: int, called: Mapping[str, str]) -> list[dict[str, str]]:
    """Who said what about the sample of this row, in the order of the votes."""
    import numpy as np

    found = []
    for at in np.flatnonzero(table.sample == row).tolist():
        who = table.annotators[int(table.annotator[at])]
        found.append({"who": called.get(who, who), "said": table.classes[int(table.label[at])]})
    return found
