"""emolab as the ML backend of a real Label Studio: a server on loopback that tests connect, and stop."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray

from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.pull import pull
from emolab.loop.label.backend.assist import Assistant, PullSoon
from emolab.loop.label.backend.connect_backend import TITLE
from emolab.modalities.preparing import Preprocessing
from emolab.serving.app import studio as protocol
from emolab.serving.app.application import create
from emolab.workspace import Workspace
from tests.support.serving import service
from tests.support.syncing import add_samples, half_blind, named

if TYPE_CHECKING:
    from emolab.serving.keys import KeyFile


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
    """A workspace with ten samples, about half of which stay blind."""
    made = half_blind(named(workspace, f"backend {uuid.uuid4().hex[:8]}"), 0.5)
    add_samples(made, 10)
    return made


@dataclass
class Backend:
    """A server on loopback, with what was asked of it."""

    url: str
    key: str
    keys: KeyFile
    pulled: threading.Event
    _end: Callable[[], None]

    def stop(self) -> None:
        """Stop answering; safe to call twice."""
        self._end()


@pytest.fixture
def backend(team: Workspace, tmp_path: Path, embedded: EmbeddedServer) -> Iterator[Backend]:
    """emolab as ``emolab serve --studio`` serves it, demanding a key; a webhook pulls from the embedded server."""
    with answering(team, tmp_path / "served", embedded) as made:
        yield made


@contextmanager
def answering(team: Workspace, folder: Path, embedded: EmbeddedServer) -> Iterator[Backend]:
    """A backend of ``team`` that ends with the block."""
    made = service(folder, Sad(), keys=True)  # type: ignore[arg-type]
    assert made.keys is not None
    key, pulled, port = made.keys.add("studio"), threading.Event(), free_port()

    def pulling() -> list[str]:
        with client_of(embedded) as client:
            found = pull(team, client).attention
        pulled.set()
        return found

    pulls = PullSoon(pulling)
    app = create(made, more=protocol.routes(Assistant(team), pulls), environment={})
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    def end() -> None:
        pulls.close()
        server.should_exit = True
        thread.join(30)

    try:
        yield Backend(f"http://127.0.0.1:{port}", key, made.keys, pulled, end)
    finally:
        end()
        made.close()


def client_of(server: EmbeddedServer) -> Studio:
    """A client of the administrator of a running embedded server."""
    running = server.running()
    assert running is not None
    return connect(running.url, server.token())


def show_guesses_of_the_backend(client: Studio, project: int) -> None:
    """Settings, Annotation: prelabel tasks by the model called emolab."""
    client.update_project(project, show_collab_predictions=True, model_version=TITLE)
