"""The team as the page shows it: its figures are those of ``label status``, and pairs and disputes follow by hand."""

from __future__ import annotations

import pytest

from emolab.catalog import nicknames, tallies, votes
from emolab.loop.label.label_status import label_status
from emolab.loop.look.team_view import state_of_votes, team_view
from emolab.loop.look.wall import WallRequest, wall
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.support.voting import vote

H, S, N = "happiness", "sadness", "neutral"


def name(number: int) -> str:
    return f"{number:04d}" + "0" * 60


#: Who said what. ann and bob differ on 1 and 2, ann and eve on 2, bob and eve on 2 and 4; 5 has one vote, 6 a meta one.
SAID = {
    name(0): {"ann": H, "bob": H, "eve": H},
    name(1): {"ann": H, "bob": S},
    name(2): {"ann": H, "bob": S, "eve": N},
    name(3): {"ann": N, "bob": N},
    name(4): {"bob": N, "eve": S},
    name(5): {"ann": H},
    name(6): {"ann": "no_face", "bob": H, "eve": None},
}


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    vote(workspace, SAID)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        rows = [Vote(sample_id=name(i), annotator="reader:x", label=S, origin=f"reader:x:{i}", count=9) for i in (0, 3)]
        votes.append(tx, rows, kind="dataset")
        nicknames.give(tx, "ann", "Ann Lee")
    return workspace


def test_figures_are_those_of_label_status(team: Workspace) -> None:
    found = team_view(team)
    assert found.status == label_status(team).to_dict() and found.next == label_status(team).next
    assert {one["name"] for one in found.people} == {"ann", "bob", "eve"}, "a data set is nobody"
    by_name = {one["name"]: one for one in found.people}
    assert by_name["ann"]["called"] == "Ann Lee"
    assert by_name["ann"]["by_class"] == {H: 4, S: 0, N: 1}
    assert by_name["bob"]["by_class"] == {H: 2, S: 2, N: 2}
    for one in found.status["annotators"]:
        assert sum(by_name[one["name"]]["by_class"].values()) == one["votes"]


def test_each_pair_shares_what_both_voted_on_and_opens_what_they_differ_on(team: Workspace) -> None:
    found = team_view(team)
    names = [one["name"] for one in found.people]
    pairs = {frozenset((names[p["one"]], names[p["other"]])): (p["shared"], p["same"]) for p in found.pairs}
    assert pairs == {
        frozenset(("ann", "bob")): (4, 2),
        frozenset(("ann", "eve")): (2, 1),
        frozenset(("bob", "eve")): (3, 1),
    }
    keys = {one["name"]: one["key"] for one in found.people}
    for pair in found.pairs:
        one, other = names[pair["one"]], names[pair["other"]]
        opened = wall(team, WallRequest(of=f"pair:{keys[one]}:{keys[other]}"))
        assert len(opened.samples) == pair["shared"] - pair["same"]
    told = wall(team, WallRequest(of=f"pair:{keys['ann']}:{keys['bob']}"))
    assert [row.id for row in told.samples] == [name(2), name(1)]
    assert told.notes[name(1)] == "Ann Lee: happiness; bob: sadness"


def test_the_most_disputed_come_first_with_who_said_what(team: Workspace) -> None:
    found = team_view(team).disputed
    assert [(each["sample"], each["differ"]) for each in found] == [(name(2), 1.0), (name(1), 1.0), (name(4), 1.0)]
    assert found[0]["answers"] == [
        {"who": "Ann Lee", "said": H},
        {"who": "bob", "said": S},
        {"who": "eve", "said": N},
    ]


def test_votes_that_were_withdrawn_or_refused_make_no_dispute(team: Workspace) -> None:
    with team.catalog() as catalog, catalog.begin() as tx:
        votes.withdraw(tx, ["test:0001:bob"], "taken back")
        votes.append(tx, [Vote(sample_id=name(3), annotator="eve", label=H, origin="e", rejected="too fast")])
    found = team_view(team)
    assert [each["sample"] for each in found.disputed] == [name(2), name(4)]
    keys = {one["name"]: one["key"] for one in found.people}
    assert [row.id for row in wall(team, WallRequest(of=f"pair:{keys['ann']}:{keys['bob']}")).samples] == [name(2)]
    with team.catalog() as catalog, catalog.connect() as conn:
        assert tallies.differing(conn, keys["ann"], keys["eve"], (H, S, N)) == [(name(2), H, N)]


def test_without_votes_there_is_nothing_but_what_to_type(workspace: Workspace) -> None:
    found = team_view(workspace)
    assert (found.people, found.pairs, found.disputed) == ([], [], []) and found.next.startswith("emolab ")


def test_the_state_of_the_votes_changes_with_each_vote_and_name(team: Workspace) -> None:
    seen = [state_of_votes(team)]
    assert state_of_votes(team) == seen[0]
    vote(team, {name(9): {"ann": H}})
    seen.append(state_of_votes(team))
    with team.catalog() as catalog, catalog.begin() as tx:
        nicknames.give(tx, "bob", "Bob")
    seen.append(state_of_votes(team))
    assert len(set(seen)) == 3
