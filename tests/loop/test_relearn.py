"""The queue learns while people vote: what is due, what moves, what stays; on a real Label Studio."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from emolab.catalog import events, models
from emolab.catalog.campaign import guesses, remotes, rounds
from emolab.errors import ServerError
from emolab.inference import prediction_store
from emolab.labeling.answers import parse
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.sync import queue_order
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.labeling.sync.reconcile_tasks import Link
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.pull import pull as pull_and_learn
from emolab.loop.label.pull import watch
from emolab.loop.label.relearn import EVENT, Renewal, relearn
from emolab.provenance import snapshots
from emolab.records import FormGuess, Model, Predictions, Suggestion
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, half_blind, named, other_machine, say, task_of

pytestmark = pytest.mark.labelstudio
CLASSES = ("happiness", "sadness", "neutral")


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """A workspace whose project no other test uses; its queue learns after six votes."""
    made = named(workspace, f"relearn {uuid.uuid4().hex[:8]}")
    return learning(made, 6)


def learning(workspace: Workspace, after: int) -> Workspace:
    config = workspace.config
    return Workspace(workspace.root, replace(config, labeling=replace(config.labeling, relearn=after)))


def features_of(ids: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(n, 4): the first one alternates between two kinds of faces, of which the model does not know the second."""
    made = np.random.default_rng(0).normal(size=(len(ids), 4)) * 0.1
    made[:, 0] = [(-1.0) ** i for i in range(len(ids))]
    return made


def champion(workspace: Workspace, ids: Sequence[str], *, probs: np.ndarray | None = None, model: str = "c") -> None:
    """A champion that has learned from nobody here; without ``probs`` it is nearly sure of happiness everywhere.

    It is a little less sure the later a sample comes.
    """
    with workspace.catalog() as catalog, catalog.begin() as tx:
        taken = snapshots.take(
            workspace, tx, classes=CLASSES, ids=["e" * 64], targets=np.full((1, 3), 1 / 3), splits=["train"]
        )
        made = Model(id=model * 64, path=f"models/{model}", classes=CLASSES, config={}, snapshot=taken.id, metrics={},
                     created_at="2026")  # fmt: skip
        models.add(tx, made)
        models.set_alias(tx, "champion", made.id)
    if probs is None:
        sure = np.linspace(0.9, 0.8, len(ids))
        probs = np.column_stack([sure, (1 - sure) * 0.6, (1 - sure) * 0.4])
    prediction_store.append(
        workspace.predictions_folder / made.id,
        Predictions(model_id=made.id, classes=CLASSES, samples=list(ids), probs=probs.astype(np.float32),
                    embeddings=features_of(ids).astype(np.float16)),
    )  # fmt: skip


def suggest(workspace: Workspace, ids: Sequence[str], by: Sequence[str]) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        number = rounds.next_number(tx)
        made = [
            Suggestion(sample_id=s, score=0.5, reason="", strategy=strategy, round=number, rank=i)
            for i, (s, strategy) in enumerate(zip(ids, by, strict=True))
        ]
        rounds.create(tx, made, strategy="auto", model=None, seed=0, settings={})


def answer(person: Studio, workspace: Workspace, ids: Sequence[str], n: int, odd: str = "sadness") -> list[str]:
    """Answer the ``n`` next tasks: happiness for the first kind of faces, ``odd`` for the second; ids in that order."""
    project = person.find_project(workspace.config.labeling.project)
    assert project is not None
    seen = []
    for _ in range(n):
        task = person.next_task(project.id)
        assert task is not None
        seen.append(str(task.uid))
        say(person, task.id, odd if ids.index(str(task.uid)) % 2 else "happiness")
    return seen


def queue(workspace: Workspace, studio: Studio) -> list[str]:
    """Sample ids of the waiting tasks in the server's own order: by the scores of the version in force."""
    project = studio.find_project(workspace.config.labeling.project)
    assert project is not None
    found = {}
    for task in (task for page in studio.pages(project.id, [], include="id,data") for task in page):
        for row in studio.http.get(f"/api/tasks/{task.id}/")["predictions"]:
            if row["model_version"] == project.model_version:
                found[str(task.uid)] = row["score"]
    return sorted(found, key=found.__getitem__)


def ranked(workspace: Workspace, studio: Studio) -> list[str]:
    """Sample ids of the waiting tasks in the catalog's order."""
    with workspace.catalog() as catalog:
        with catalog.connect() as conn:
            (project,) = remotes.projects(conn)
        return [task.sample_id for task in queue_order.queue(Link(catalog, studio, project))]


def test_after_enough_votes_the_next_task_is_the_one_the_new_head_doubts(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    ids = add_samples(team, 24)
    champion(team, ids)
    team = learning(team, 20)
    push(team, studio, overlap=1)
    ann = label_studio.annotator()[1]
    flip = "happiness"  # the model is right about both kinds for five votes
    seen = answer(ann, team, ids, 6, odd=flip)
    assert pull_and_learn(team).reordered == 0, "six of twenty"
    assert seen == ids[:6]
    seen += answer(ann, team, ids, 14)
    assert seen == ids[:20], "the order of the push"
    done = next(watch(team, every=1.0))
    assert done.new == 14 and done.reordered > 0
    order = ranked(team, studio)
    assert sorted(order) == sorted(ids[20:]) and order != ids[20:]
    assert {ids.index(name) % 2 for name in order[:2]} == {1}, "the second kind, of which people say two things"
    assert answer(ann, team, ids, 4) == order
    assert relearn(team, studio) == Renewal(), "once for these votes"
    with team.catalog() as catalog, catalog.connect() as conn:
        (event,) = events.latest(conn, EVENT)
    assert event["detail"]["votes"] == 20 and event["detail"]["tasks"] == done.reordered


def test_begun_tasks_stay_in_front_and_random_ones_where_they_are(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 20)
    champion(team, ids)
    by = ["random" if i in (9, 12, 15) else "margin" for i in range(20)]
    suggest(team, ids, by)
    push(team, studio, suggestions=True, overlap=2)
    ann, bob = label_studio.annotator("ann")[1], label_studio.annotator("bob")[1]
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    for name in ids[:6]:
        for person in (ann, bob):
            say(person, task_of(studio, project.id, name), "sadness" if ids.index(name) % 2 else "happiness")
    say(ann, task_of(studio, project.id, ids[18]), "neutral")  # one of two
    ann.http.call(
        "POST", f"/api/tasks/{task_of(studio, project.id, ids[19])}/drafts",
        json={"result": [], "lead_time": 1.0},
    )  # fmt: skip
    pull(team, studio)
    with team.catalog() as catalog:
        with catalog.connect() as conn:
            (mine,) = remotes.projects(conn)
        assert queue_order.begun(Link(catalog, studio, mine)) == {*ids[:6], ids[18], ids[19]}
    assert relearn(team, studio).tasks > 0
    order = ranked(team, studio)
    assert order[:2] == [ids[18], ids[19]], "begun ones in front, in their order"
    fresh = order[2:]
    assert [fresh.index(name) for name in (ids[9], ids[12], ids[15])] == [3, 6, 9], "as before among the untouched"
    assert fresh != [name for name in ids[6:18]]


def test_guesses_stay_on_the_forms_and_in_the_catalog_as_they_were_sent(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = half_blind(team)
    ids = add_samples(team, 16)
    champion(team, ids)
    sent = dict.fromkeys(ids, "neutral")
    push(team, studio, overlap=1, show_predictions=True, guesses=sent)
    answer(label_studio.annotator()[1], team, ids, 6)
    pull(team, studio)
    with team.catalog() as catalog, catalog.connect() as conn:
        (mine,) = remotes.projects(conn)
        before = guesses.standing(conn, mine)
    assert before == {name: FormGuess("neutral", not stays_blind(name, 0.5), 0.5) for name in ids}
    assert relearn(team, studio).tasks > 0
    with team.catalog() as catalog, catalog.connect() as conn:
        assert guesses.standing(conn, mine) == before
    project = studio.find_project(team.config.labeling.project)
    assert project is not None and project.show_predictions
    for name in ids[6:]:
        raw = studio.http.get(f"/api/tasks/{task_of(studio, project.id, name)}/")["predictions"]
        (mine_now,) = [row for row in raw if row["model_version"] == project.model_version]
        assert [part["value"]["choices"] for part in mine_now["result"]] == [
            [] if stays_blind(name, 0.5) else ["neutral"]
        ]


def test_guesses_that_another_machine_sent_stay_on_the_forms(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = half_blind(team)
    ids = add_samples(team, 16)
    sent = dict.fromkeys(ids, "neutral")
    push(team, studio, overlap=1, show_predictions=True, guesses=sent)
    answer(label_studio.annotator()[1], team, ids, 6)
    elsewhere = learning(half_blind(named(other_machine(team, n=16), team.config.labeling.project), 0.0), 6)
    champion(elsewhere, ids)
    pull(elsewhere, studio)
    assert relearn(elsewhere, studio).tasks > 0
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    order = [name for name in queue(elsewhere, studio) if name in ids[6:]]
    assert order != ids[6:] and sorted(order) == sorted(ids[6:])
    for name in order:
        stored = studio.predictions_of(task_of(studio, project.id, name))
        (form,) = [parse.read(one.result).form for one in stored if one.version == project.model_version]
        assert form == FormGuess("neutral", not stays_blind(name, 0.5), 0.5)


def test_whatever_cuts_it_off_the_next_pull_sends_the_order(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = add_samples(team, 14)
    champion(team, ids)
    push(team, studio, overlap=1)
    answer(label_studio.annotator()[1], team, ids, 6)
    pull(team, studio)

    def gone(*_: object, **__: object) -> int:
        raise ServerError("The server went away.", retryable=True)

    with monkeypatch.context() as patch:
        patch.setattr(queue_order, "apply", gone)
        assert relearn(team, studio) == Renewal(problem="The server went away.")
    wanted = ranked(team, studio)
    assert wanted != ids[6:] and queue(team, studio)[-8:] == ids[6:], "the catalog knows it, the server does not"
    assert relearn(team, studio).problem == ""
    assert [name for name in queue(team, studio) if name in wanted] == wanted == ranked(team, studio)
    push(team, studio, n=1)
    assert ranked(team, studio)[: len(wanted)] == wanted, "a push keeps it"


def test_a_push_that_runs_goes_first_and_missing_predictions_are_said(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 10)
    push(team, studio, overlap=1)
    answer(label_studio.annotator()[1], team, ids, 6)
    pull(team, studio)
    assert relearn(team, studio) == Renewal(), "there is no champion"
    champion(team, [])
    assert relearn(team, studio).problem == (
        "The champion has no predictions for these samples, so the queue keeps its order. "
        "Make them with: emolab suggest"
    )
    champion(team, ids, model="d")
    with team.lock("push"):
        assert relearn(team, studio) == Renewal()
    assert relearn(learning(team, 0), studio) == Renewal(), "off"
    assert relearn(team, studio).tasks > 0
