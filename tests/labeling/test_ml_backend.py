"""emolab as the ML backend of a real Label Studio: connected, asked, its guesses there, its webhooks become pulls."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray

from emolab.errors import ServerError
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.backend.assist import Assistant, PullSoon
from emolab.loop.label.backend.connect_backend import connect_studio
from emolab.modalities.image.decode import Preprocessing
from emolab.serving.app import studio as protocol
from emolab.serving.app.application import create
from emolab.workspace import Workspace
from tests.support.serving import service
from tests.support.syncing import add_samples, half_blind, ledger, named

pytestmark = [pytest.mark.labelstudio, pytest.mark.slow]


@dataclass
class Sad:
    """A model that is 70 % sure of sadness, whatever it sees."""

    id: str = "5ad" * 21 + "5"
    classes: tuple[str, ...] = ("happiness", "sadness", "neutral")
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(8, "gray"))
    conformal: dict[str, object] = field(default_factory=dict)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.tile(np.array([[0.2, 0.7, 0.1]], np.float32), (len(pixels), 1))


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    made = half_blind(named(workspace, f"backend {uuid.uuid4().hex[:8]}"), 0.5)
    add_samples(made, 10)
    return made


@dataclass
class Backend:
    """A server on loopback, with what was asked of it."""

    url: str
    key: str
    pulled: threading.Event


@pytest.fixture
def backend(team: Workspace, tmp_path: Path, embedded: EmbeddedServer) -> Iterator[Backend]:
    """emolab as ``emolab serve --studio`` serves it, demanding a key; a webhook pulls from the embedded server."""
    made = service(tmp_path / "served", Sad(), keys=True)  # type: ignore[arg-type]
    key, pulled, port = made.keys.add("studio"), threading.Event(), free_port()

    def pulling() -> None:
        with client_of(embedded) as client:
            pull(team, client)
        pulled.set()

    pulls = PullSoon(pulling)
    app = create(made, more=protocol.routes(Assistant(team), pulls), environment={})
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield Backend(f"http://127.0.0.1:{port}", key, pulled)
    pulls.close()
    server.should_exit = True
    thread.join(30)
    made.close()


def client_of(server: EmbeddedServer) -> Studio:
    from emolab.labeling.label_studio.client import connect

    running = server.running()
    assert running is not None
    return connect(running.url, server.token())


def test_label_studio_connects_asks_and_its_answers_are_pulled(
    team: Workspace, embedded: EmbeddedServer, backend: Backend
) -> None:
    embedded.start(port=free_port(), timeout=400.0)
    with client_of(embedded) as client:
        push(team, client)
        project = client.find_project(named_title(team))
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


def named_title(team: Workspace) -> str:
    from emolab.labeling.sync.project import title_of

    return title_of(team.config)
