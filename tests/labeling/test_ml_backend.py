"""emolab as the ML backend of a real Label Studio: connected, asked, its guesses there, its webhooks become pulls."""

from __future__ import annotations

from typing import Any

import pytest

from emolab.catalog.campaign import guesses
from emolab.errors import ServerError
from emolab.labeling.form import controls
from emolab.labeling.label_studio.accounts import invitation
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.backend.connect_backend import connect_studio
from emolab.workspace import Workspace
from tests.support.backends import Backend, Sad, backend, client_of, show_guesses_of_the_backend, team  # noqa: F401
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, Press, browser  # noqa: F401 (fixture)
from tests.support.syncing import half_blind, ledger, named, other_machine

pytestmark = [pytest.mark.labelstudio, pytest.mark.slow]


def test_label_studio_connects_asks_and_its_answers_are_pulled(
    team: Workspace,  # noqa: F811
    embedded: EmbeddedServer,
    backend: Backend,  # noqa: F811
) -> None:
    embedded.start(port=free_port(), timeout=400.0)
    with client_of(embedded) as client:
        push(team, client)
        project = client.find_project(team.config.labeling.project)
        assert project is not None
    with pytest.raises(ServerError, match=r"401|authentication"):
        connect_studio(team, backend.url)
    done = connect_studio(team, backend.url, key=backend.key)
    assert connect_studio(team, backend.url, key=backend.key).backend == done.backend  # once
    with client_of(embedded) as client:
        client.http.call(
            "POST", "/api/dm/actions", params={"id": "retrieve_tasks_predictions", "project": project.id},
            json={"selectedItems": {"all": True, "excluded": []}})  # fmt: skip
        stored = [row for row in client.http.get("/api/predictions/", project=project.id)
                  if row["model_version"] == f"model {Sad().id[:12]}"]  # fmt: skip
        samples = {task["id"]: task["data"]["emolab_uid"]
                   for task in client.http.get("/api/tasks/", project=project.id, fields="all")["tasks"]}  # fmt: skip
        assert len(stored) == 10
        for row in stored:
            shown = [choice for part in row["result"] for choice in part["value"]["choices"]]
            assert shown == ([] if stays_blind(samples[row["task"]], 0.5) else ["sadness"])
        assert {stays_blind(samples[row["task"]], 0.5) for row in stored} == {True, False}
        backend.pulled.clear()
        client.create_annotation(next(iter(samples)), controls.answer("neutral"), lead_time=2.0)
    assert backend.pulled.wait(60), "the webhook became no pull"
    assert [vote.label for vote in ledger(team)] == ["neutral"]


@pytest.mark.browser
def test_the_ledger_knows_which_guess_of_the_backend_stood_on_the_form_and_which_was_hidden(
    team: Workspace,  # noqa: F811
    embedded: EmbeddedServer,
    backend: Backend,  # noqa: F811
    browser: Any,  # noqa: F811
) -> None:
    embedded.start(port=free_port(), timeout=400.0)
    title = team.config.labeling.project
    with client_of(embedded) as client:
        push(team, client, overlap=1)
        project = client.find_project(title)
        assert project is not None
    connect_studio(team, backend.url, key=backend.key)
    journal: list[Press] = []
    with client_of(embedded) as client:
        show_guesses_of_the_backend(client, project.id)
        context = browser.new_context(viewport=SIZE)
        ann = Annotator(context, journal, lambda sample: None if stays_blind(sample, 0.5) else "sadness")
        ann.project = f"{client.url}/projects/{project.id}"
        ann.enter(invitation(client, project.id))
        ann.open_queue()
        blind = {}
        for number in range(10):
            assert ann.sample is not None
            blind[ann.sample] = stays_blind(ann.sample, 0.5)
            ann.choose_by_key("neutral" if number % 3 else "sadness")
            if number in (4, 5, 6, 7):  # taken back and chosen again: the page then calls it an answer of its own
                ann.unchoose_by_key()
                ann.choose_by_key("happiness")
            ann.submit()
        context.close()
        backend.stop()  # its own pulls have ended then: one that is under way holds the lock
        elsewhere = half_blind(named(other_machine(team, n=10), title), 0.5)
        for machine in (team, elsewhere):
            pull(machine, client)
            votes = {vote.sample_id: vote for vote in ledger(machine)}
            assert {name: vote.shown for name, vote in votes.items()} == {
                name: "" if kept else "sadness" for name, kept in blind.items()
            }
            with machine.catalog() as catalog, catalog.connect() as conn:
                found = {each.sample_id: (each.guess, each.shown) for each in guesses.answers(conn)}
            assert found == {name: ("sadness", not kept) for name, kept in blind.items()}
    assert 2 <= sum(blind.values()) <= 8, "both kinds came up"
