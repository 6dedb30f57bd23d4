"""emolab as the ML backend of a real Label Studio: connected, asked, its guesses there, its webhooks become pulls."""

from __future__ import annotations

import pytest

from emolab.errors import ServerError
from emolab.labeling.form import controls
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.backend.connect_backend import connect_studio
from emolab.workspace import Workspace
from tests.support.backends import Backend, Sad, backend, client_of, team  # noqa: F401 (fixtures)
from tests.support.syncing import ledger

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
        assert {bool(row["result"]) for row in stored} == {True, False}
        backend.pulled.clear()
        client.create_annotation(next(iter(samples)), controls.answer("neutral"), lead_time=2.0)
    assert backend.pulled.wait(60), "the webhook became no pull"
    assert [vote.label for vote in ledger(team)] == ["neutral"]
