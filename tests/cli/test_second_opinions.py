"""Rounds that mix new samples and second opinions, through a real Label Studio."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import pytest

from emolab.active_learning.selection.pool import Pool
from emolab.catalog import models
from emolab.inference import prediction_store
from emolab.labeling.labels.aggregate import aggregate
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.selection.second_opinions import second_opinions
from emolab.loop.label.suggest import Proposal, suggest
from emolab.records import Model, Predictions
from emolab.workspace import Workspace
from tests.cli.test_revotes import asked
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, ledger, named, say, task_of

pytest.importorskip("torch", reason="reading a model's predictions of the pool needs torch")

CLASSES = ("happiness", "sadness", "neutral")


def with_a_model(workspace: Workspace, ids: list[str]) -> None:
    """A champion that is quite sure about every sample, and of the class that its number has."""
    model = Model(
        id="m" * 64, path=".emolab/models/m", classes=CLASSES, config={}, snapshot="s", metrics={},
        created_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    probs = np.full((len(ids), 3), 0.02, dtype=np.float32)
    probs[np.arange(len(ids)), np.arange(len(ids)) % 3] = 0.96
    seen = np.eye(3)[np.arange(len(ids)) % 3] + np.random.default_rng(0).normal(0, 0.1, (len(ids), 3))
    prediction_store.append(
        workspace.predictions_folder / model.id,
        Predictions(model_id=model.id, classes=CLASSES, samples=ids, probs=probs, embeddings=seen.astype(np.float16)),
    )
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
        models.set_alias(tx, "champion", model.id)


def test_who_answers_unknown_has_seen_the_sample_too(workspace: Workspace) -> None:
    team = Workspace(workspace.root, replace(workspace.config, labeling=replace(workspace.config.labeling, overlap=1)))
    unsure = dict.fromkeys(("bob", "cem"), "unknown")
    ids = asked(team, {"two": {"ann": "happiness", "bob": "sadness"}, "three": {"ann": "happiness", **unsure}})
    pool = Pool(
        samples=list(ids.values()),
        labelled=np.ones(2, dtype=bool),
        pending=np.zeros(2, dtype=bool),
        probs=np.full((2, 3), 1 / 3),
        classes=CLASSES,
    )
    found = second_opinions(team, pool, 10, share=1.0, rng=np.random.default_rng(0))
    assert [again.sample_id for again in found] == [ids["two"]], "three people are two more than the one asked for"


def kinds(made: Proposal) -> dict[str, list[str]]:
    """Ids by kind."""
    return {kind: [s.sample_id for s in made.suggestions if s.kind == kind] for kind in ("new", "revote")}


@pytest.mark.slow
@pytest.mark.labelstudio
def test_three_rounds_mix_new_samples_and_second_opinions(
    workspace: Workspace, label_studio: LabelStudioServer
) -> None:
    team = named(workspace, f"team {uuid.uuid4().hex[:8]}")
    team = Workspace(team.root, replace(team.config, labeling=replace(team.config.labeling, overlap=2)))
    ids = add_samples(team, 60)
    with_a_model(team, ids)
    people = {name: label_studio.annotator(name)[1] for name in ("ann", "bob", "cem")}
    right = {sample: CLASSES[number % 3] for number, sample in enumerate(ids)}

    with label_studio.client() as studio:

        def answered(wanted: dict[str, list[tuple[str, str]]]) -> None:
            for name, pairs in wanted.items():
                for sample, label in pairs:
                    say(people[name], task_of(studio, project.id, sample), label)
            pull(team, studio)
            aggregate(team)

        def wrong(sample: str, step: int = 1) -> str:
            return CLASSES[(CLASSES.index(right[sample]) + step) % 3]

        first = suggest(team, n=24, strategy="margin")
        assert kinds(first)["revote"] == [], "nobody has been asked yet"
        assert push(team, studio, suggestions=True).created == 24
        project = studio.find_project(team.config.labeling.project)
        assert project is not None
        chosen = kinds(first)["new"]
        disputed = set(chosen[:3])
        answered(
            {
                "ann": [(s, right[s]) for s in chosen],
                "bob": [(s, wrong(s) if s in disputed else right[s]) for s in chosen],
            }
        )

        second = suggest(team, n=10, strategy="margin")
        assert set(kinds(second)["revote"]) == disputed, "the disputed ones, and no clear one"
        assert len(kinds(second)["new"]) == 7
        assert {s.strategy for s in second.suggestions if s.kind == "revote"} == {"revote"}
        assert "2 people are split between" in next(s.reason for s in second.suggestions if s.kind == "revote")
        report = push(team, studio, suggestions=True)
        assert (report.created, report.reopened) == (7, 3)
        assert kinds(suggest(team, n=1, strategy="margin", revotes=1.0))["revote"] == [], "they are being asked already"
        push(team, studio, suggestions=True)
        fresh = kinds(second)["new"]
        answered(
            {
                "ann": [(s, right[s] if s != fresh[0] else wrong(s, 1)) for s in fresh],
                "bob": [(s, right[s] if s != fresh[0] else wrong(s, 2)) for s in fresh],
                "cem": [(s, right[s]) for s in sorted(disputed)],
            }
        )

        third = suggest(team, n=8, strategy="margin", revotes=0.25)
        assert fresh[0] in kinds(third)["revote"] and len(kinds(third)["revote"]) <= 2
        report = push(team, studio, suggestions=True)
        assert (report.created, report.reopened) == (len(kinds(third)["new"]), len(kinds(third)["revote"]))
    votes = ledger(team)
    assert len(votes) == 48 + 14 + 3
    per_sample = {sample: sum(vote.sample_id == sample for vote in votes) for sample in chosen}
    assert per_sample == {sample: 3 if sample in disputed else 2 for sample in chosen}
