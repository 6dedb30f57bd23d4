"""Samples that lie with the team already: what has ended is not asked about again, nor learned from by the queue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import emolab
from emolab.active_learning.selection.pool import Pool
from emolab.catalog.campaign import rounds
from emolab.errors import DataError
from emolab.loop.label import relearn
from emolab.loop.label.revotes import propose_revotes, wanted_revotes
from emolab.loop.label.selection.second_opinions import second_opinions
from emolab.loop.look.choose import ask_about
from emolab.workspace import Workspace
from tests.cli.test_revotes import agreeing, asked, between
from tests.loop.test_relearn import champion, learning

SPLIT = {"ann": "happiness", "bob": "sadness"}


def test_an_answered_sample_is_not_asked_about_once_more(workspace: Workspace) -> None:
    ids = asked(workspace, {**agreeing(), "first": SPLIT, "second": SPLIT})
    team = between(workspace)
    assert {each.sample_id for each in wanted_revotes(team)} == {ids["first"], ids["second"]}
    emolab.end_consent(team, ids=ids["first"])
    assert [each.sample_id for each in wanted_revotes(team)] == [ids["second"]]
    assert propose_revotes(team) == 1
    with team.catalog() as catalog, catalog.connect() as conn:
        assert [each.sample_id for each in rounds.suggestions(conn, unsent=True)] == [ids["second"]]


def test_a_round_asks_for_no_second_opinion_on_it(workspace: Workspace) -> None:
    team = Workspace(workspace.root, replace(workspace.config, labeling=replace(workspace.config.labeling, overlap=2)))
    ids = [*asked(team, {"first": SPLIT, "second": SPLIT}).values()]
    emolab.end_consent(team, ids=ids[0])
    shares = np.full((1, 3), 1 / 3)
    pool = Pool(samples=ids[1:], labelled=np.ones(1, bool), pending=np.zeros(1, bool), probs=shares,
                classes=("happiness", "sadness", "neutral"))  # fmt: skip
    again = second_opinions(team, pool, 10, share=1.0, rng=np.random.default_rng(0))
    assert [each.sample_id for each in again] == ids[1:]


def test_a_person_who_chooses_it_is_told(workspace: Workspace) -> None:
    ids = [*asked(workspace, {"first": SPLIT, "second": SPLIT}).values()]
    emolab.add_consent(workspace, ids=ids[0], text="To look at.", scope="show")
    made = ask_about(workspace, ids, by="owner")
    assert (made.again, made.already) == (1, 0)
    note = "1 sample left out of labelling: 1 consent does not cover it."
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert [each.sample_id for each in rounds.suggestions(conn, unsent=True)] == ids[1:]
        assert rounds.list_all(conn)[-1].settings["note"] == note
    with pytest.raises(DataError, match=note):
        ask_about(workspace, ids[:1], by="owner")


def test_the_queue_learns_nothing_from_it(workspace: Workspace) -> None:
    ids = asked(workspace, {f"face{i}": dict.fromkeys(("ann", "bob"), "sadness") for i in range(8)})
    asking = [*ids.values()][6:]
    champion(workspace, [*ids.values()])
    team = learning(workspace, 1)
    with team.catalog() as catalog:
        before = relearn._scores(team, catalog, asking)
        assert set(before) == set(asking)
        emolab.end_consent(team, ids=[*ids.values()][:4])
        some = relearn._scores(team, catalog, asking)
        assert set(some) == set(asking)
        assert some != before
        emolab.end_consent(team, ids=[*ids.values()])
        assert relearn._scores(team, catalog, asking) == {}
