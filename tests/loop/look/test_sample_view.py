"""One sample in full, and what is done with samples that somebody chose."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.catalog import models, nicknames, samples
from emolab.catalog.campaign import rounds
from emolab.errors import DataError
from emolab.inference import prediction_store
from emolab.loop.label.aggregate import aggregate
from emolab.loop.look.choose import ask_about
from emolab.loop.look.sample_view import sample_view
from emolab.records import Model, Predictions, Sample
from emolab.workspace import Workspace
from tests.support.voting import vote

CLASSES = ("happiness", "sadness", "neutral")
A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    vote(workspace, {A: {"ann": "happiness", "bob": "sadness", "eve": None}, B: {"ann": "neutral"}})
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=C, media="m")])
        nicknames.give(tx, "ann", "Ann Lee")
    aggregate(workspace)
    return workspace


def model(workspace: Workspace, name: str, probs: list[list[float]], *, champion: bool = False) -> None:
    """A model that has been asked about A and B; its classes come in another order."""
    order = CLASSES[::-1]
    made = Model(
        id=name * 64, path=f"models/{name}", classes=order, config={"backbone": "x"}, snapshot="s" * 64, metrics={},
        created_at=f"2026-01-01T00:00:0{name}.000Z",
    )  # fmt: skip
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, made)
        if champion:
            models.set_alias(tx, "champion", made.id)
    said = np.array(probs, dtype=np.float32)
    told = Predictions(model_id=made.id, classes=order, samples=[A, B], probs=said, embeddings=np.zeros((2, 1)))
    prediction_store.append(workspace.predictions_folder / made.id, told)


def test_votes_label_and_predictions_stand_side_by_side(team: Workspace) -> None:
    model(team, "1", [[0.1, 0.2, 0.7], [1, 0, 0]], champion=True)
    model(team, "2", [[0.5, 0.4, 0.1], [0, 0, 1]])
    ask_about(team, [A], by="owner")
    found = sample_view(team, A).to_dict()
    assert [(v["annotator"], v["said"], v["rejected"]) for v in found["votes"]] == [
        ("Ann Lee", "happiness", None),
        ("bob", "sadness", None),
        ("eve", None, None),
    ]
    assert found["label"]["agreement"] == 0.5 and sum(found["label"]["shares"].values()) == pytest.approx(1)
    assert [p["aliases"] for p in found["predictions"]] == [["champion"], []]
    assert found["predictions"][0]["shares"] == pytest.approx({"neutral": 0.1, "sadness": 0.2, "happiness": 0.7})
    assert [r["reason"] for r in found["rounds"]] == ["chosen by owner"]


def test_a_sample_that_nothing_is_known_of_has_empty_sides(team: Workspace) -> None:
    model(team, "1", [[0.1, 0.2, 0.7], [1, 0, 0]])
    found = sample_view(team, C).to_dict()
    assert (found["label"], found["votes"], found["predictions"], found["rounds"]) == (None, [], [], [])
    with pytest.raises(DataError, match="not in the catalog"):
        sample_view(team, "a")


def test_chosen_samples_become_a_round_that_push_sends(team: Workspace) -> None:
    made = ask_about(team, [C, A, C], by="owner")
    assert (made.round, made.new, made.again, made.already) == (1, 1, 1, 0)
    with team.catalog() as catalog, catalog.connect() as conn:
        waiting = rounds.suggestions(conn, unsent=True)
    assert [(s.sample_id, s.kind, s.strategy) for s in waiting] == [(C, "new", "by hand"), (A, "revote", "by hand")]


def test_what_waits_to_be_sent_is_not_asked_for_twice(team: Workspace) -> None:
    ask_about(team, [C], by="owner")
    assert ask_about(team, [C], by="ann").round is None
    again = ask_about(team, [C, B], by="ann")
    assert (again.round, again.new, again.again, again.already) == (2, 0, 1, 1)


def test_an_unknown_sample_makes_no_round(team: Workspace) -> None:
    with pytest.raises(DataError, match="not in the catalog"):
        ask_about(team, [A, "d" * 64], by="owner")
    with team.catalog() as catalog, catalog.connect() as conn:
        assert rounds.count(conn) == 0


def test_predictions_are_picked_from_every_part(team: Workspace) -> None:
    folder = team.predictions_folder / ("9" * 64)
    for number in range(3):
        ids = [f"{number}{i}" + "0" * 62 for i in range(10)]
        probs = np.full((10, 3), number, dtype=np.float32)
        told = Predictions(model_id="9" * 64, classes=CLASSES, samples=ids, probs=probs, embeddings=np.zeros((10, 1)))
        prediction_store.append(folder, told)
    few = ["25" + "0" * 62, "x", "01" + "0" * 62]
    many = [f"{number}{i}" + "0" * 62 for number in (2, 0, 1) for i in range(5)]
    for wanted in (few, many):
        ids, classes, probs = prediction_store.pick(folder, wanted)
        assert ids == [each for each in wanted if each != "x"] and classes == CLASSES
        assert probs[:, 0].tolist() == [float(each[0]) for each in ids]
    assert prediction_store.pick(team.predictions_folder / "nothing", few)[:2] == ([], ())
