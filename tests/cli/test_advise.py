"""`emolab suggest --advise` as a person and a script see it, and what `emolab status` repeats of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from sqlalchemy import update

from emolab.catalog import votes
from emolab.catalog.campaign import rounds
from emolab.catalog.storage import schema
from emolab.errors import DataError
from emolab.loop.label import advise as module
from emolab.loop.label.advise import advise
from emolab.records import Suggestion, Vote
from emolab.workspace import Workspace
from tests.support.learnable import configure, fill_workspace

pytest.importorskip("torch", reason="advice on a model needs the features of its backbone")
Run = Callable[..., subprocess.CompletedProcess[str]]
HEAD = 'backbone = "hog"\nmode = "head"\nsize = 16\nthreads = 1\nprecision = "float32"\ntensorboard = false'


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    """90 samples that ann and bob agree on, 60 of them drawn at random, and a champion that is a head on HOG."""
    from emolab.loop.model.train import train

    ids = list(fill_workspace(workspace, 90))
    configure(workspace, HEAD)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        drawn = [
            Suggestion(sample_id=i, score=0.5, reason="drawn at random", strategy="random", round=1, rank=r)
            for r, i in enumerate(ids[:60])
        ]
        rounds.create(tx, drawn, strategy="random", model=None, seed=0, settings={})
    ready = Workspace.open(workspace.root)
    train(ready)
    return ready


@pytest.mark.slow
def test_advice_in_words_and_figures(trained: Workspace, run_cli: Run) -> None:
    shown = run_cli("suggest", "--advise", cwd=trained.root, check=True).stderr
    assert "accuracy now" in shown
    assert "1,000 more votes" in shown
    assert "Judged by 60 labelled samples that were drawn at random." in shown
    assert "Stop: the model gives" in shown
    found = json.loads(run_cli("suggest", "--advise", "--json", cwd=trained.root, check=True).stdout)
    assert (found["judge"], found["finding"]["judges"], found["doubtful"]) == ("random", 60, [])
    assert [p["votes"] for p in found["finding"]["votes"]] == [100, 200, 1000]
    assert found["finding"]["ceiling"]["samples"] == 90
    with trained.catalog() as catalog, catalog.connect() as conn:
        assert rounds.next_number(conn) == 2


@pytest.mark.slow
def test_advice_is_kept_until_a_vote_comes_in_or_a_round_is_another(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = advise(trained)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_measure", lambda *_: pytest.fail("measured again"))
        assert advise(trained) == first
    larger = Workspace.find(trained.root, overrides=["suggest.n=250"])
    assert module.read(larger, str(first.model), first.labels, first.votes) is None, "it speaks of a round of 100"
    with trained.catalog() as catalog, catalog.begin() as tx:
        (sample, *_) = [d.sample_id for d in rounds.suggestions(tx)]
        votes.append(tx, [Vote(sample_id=sample, annotator="cem", label="sadness", origin="test:cem")])
    second = advise(trained)
    assert second.votes == first.votes + 1
    assert second.labels != first.labels


@pytest.mark.slow
def test_status_repeats_the_sentence_while_it_holds(trained: Workspace, run_cli: Run) -> None:
    assert json.loads(run_cli("status", "--json", cwd=trained.root, check=True).stdout)["advice"] is None
    sentence = advise(trained).sentence
    assert json.loads(run_cli("status", "--json", cwd=trained.root, check=True).stdout)["advice"] == sentence
    assert "advice Stop: the model" in run_cli("status", cwd=trained.root, check=True).stderr
    with trained.catalog() as catalog, catalog.begin() as tx:
        (sample, *_) = [d.sample_id for d in rounds.suggestions(tx)]
        votes.append(tx, [Vote(sample_id=sample, annotator="cem", label="sadness", origin="test:cem")])
    assert json.loads(run_cli("status", "--json", cwd=trained.root, check=True).stdout)["advice"] is None


@pytest.mark.slow
def test_doubtful_labels_are_listed_with_what_they_may_be(trained: Workspace, run_cli: Run) -> None:
    others = {"happiness": "sadness", "sadness": "neutral", "neutral": "happiness"}
    with trained.catalog() as catalog, catalog.begin() as tx:
        ids = [d.sample_id for d in rounds.suggestions(tx)]
        right = {i: str(vote.label) for i in ids[:30] for vote in votes.iterate(tx, sample_id=i)}
        votes.withdraw(tx, [f"test:{who}:{i}" for i in ids[:8] for who in ("ann", "bob")], "test")
        votes.withdraw(tx, [f"test:bob:{i}" for i in ids[8:30]], "test")
        slips = [("ann", i) for i in ids[:8]] + [("bob", i) for i in ids[8:30]]
        votes.append(
            tx, [Vote(sample_id=i, annotator=who, label=others[right[i]], origin=f"slip:{i}") for who, i in slips]
        )
    found = json.loads(run_cli("suggest", "--advise", "--json", cwd=trained.root, check=True).stdout)
    instead = {d["sample"]: d["instead"] for d in found["doubtful"]}
    found_out = [i for i in instead if i in right]
    assert len(found_out) >= max(1, 0.7 * len(instead))
    assert sum(instead[i] == right[i] for i in found_out) >= 0.7 * len(found_out)
    assert "doubtful labels, worst first" in run_cli("suggest", "--advise", cwd=trained.root, check=True).stderr


@pytest.mark.slow
def test_a_sample_costs_what_the_people_have_cast_and_not_what_a_merged_dataset_has(trained: Workspace) -> None:
    with trained.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.annotators).where(schema.annotators.c.name == "bob").values(kind="dataset"))
    finding = advise(trained).finding
    assert finding is not None
    assert [p["votes"] for p in finding["votes"]] == [100, 1000], "a round of 100 samples costs ann 100 votes"
    assert [round(p["labels"]) for p in finding["votes"]] == [80, 800], "of which a fifth goes to validation"


def test_a_balanced_draw_does_not_judge(trained: Workspace) -> None:
    with trained.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.rounds).values(settings={"balanced": True}))
    assert advise(trained).judge is None


def test_without_judges_it_says_what_to_type(workspace: Workspace) -> None:
    from emolab.loop.model.train import train

    fill_workspace(workspace, 48)
    configure(workspace, HEAD)
    ready = Workspace.open(workspace.root)
    assert advise(ready).next == "emolab train"
    train(ready)
    found = advise(ready)
    assert found.judge is None
    assert found.sentence == (
        "Too early to say what further votes buy: 9 labelled samples of the validation split can judge and 0 drawn at "
        "random, 40 of either are needed."
    )
    assert found.next == "emolab suggest --strategy random -n 40 --push"


@pytest.mark.slow
def test_a_backbone_that_learnt_only_from_these_labels_cannot_tell(trained: Workspace) -> None:
    from emolab.loop.model.train import train

    tiny = Workspace.find(
        trained.root, overrides=["training.mode=full", "training.backbone=tiny", "training.epochs=1"]
    )  # fmt: skip
    model = train(tiny).model
    with tiny.catalog() as catalog, catalog.begin() as tx:
        from emolab.catalog import models

        models.set_alias(tx, "champion", model.id)
    with pytest.raises(DataError, match="learnt all it knows from these labels"):
        advise(tiny)


def test_before_the_first_vote_there_is_nothing_to_advise_on(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("suggest", "--advise", cwd=workspace.root)
    assert done.returncode == 1
    assert "There are no votes for any class yet." in done.stderr


def test_advise_stands_alone(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("suggest", "--advise", "--push", cwd=workspace.root)
    assert done.returncode == 2
    assert "--advise makes no round, so it stands alone: emolab suggest --advise" in done.stderr
