"""The app in this process, over a workspace, for tests without a server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from emolab.catalog.campaign import remotes
from emolab.labeling.sync.project import title_of
from emolab.results import plain_data
from emolab.serving.app.application import create
from emolab.serving.workbench import all_routes, data, model, team
from emolab.serving.workbench.session import APP, Workbench
from emolab.workspace import Workspace
from tests.support.serving import service
from tests.support.syncing import add_samples

ADDRESS = "http://localhost:8000"


def not_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app take its steps in this process: one of their own takes seconds to start.

    That :func:`emolab.loop.look.apart.apart` answers as the step does has a test of its own.
    """

    def here(workspace: Workspace, module: str, step: str, **words: Any) -> Any:
        return plain_data(getattr(import_module(module), step)(workspace=workspace, **words))

    for each in (data, model, team):
        monkeypatch.setattr(each, "apart", here)


def lines(bench: Workbench) -> list[dict[str, Any]]:
    """What the app's log says of who changed what, oldest first."""
    files = sorted(bench.workspace.state.rglob("*app*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@contextmanager
def app_over(workspace: Workspace, folder: Path, **options: object) -> Iterator[tuple[Workbench, TestClient]]:
    """The app over ``workspace`` and a browser without a session; ``options`` are those of the service."""
    with ExitStack() as stack:
        made = service(folder, **options)  # type: ignore[arg-type]
        stack.callback(made.close)
        bench = Workbench.of(workspace)
        stack.callback(bench.close)
        more = all_routes.routes(bench, stack)
        app = create(made, more=more, by_session=APP, environment={})
        yield bench, TestClient(app, base_url=ADDRESS)


def token_of(link: str) -> str:
    """The token of a personal link."""
    return link.partition("#")[2]


def enter(client: TestClient, token: str) -> None:
    """Let the browser come in by ``token``."""
    answer = client.post("/app/session", json={"token": token})
    assert answer.status_code == 200, answer.text


def pushed(workspace: Workspace, n: int, *, overlap: int = 2) -> list[str]:
    """Samples that the catalog knows to be tasks on a server that nobody has started; their ids in order."""
    names = add_samples(workspace, n)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        mine = remotes.add_project(tx, server="s" * 16, project=1, title=title_of(workspace.config))
        remotes.want(tx, mine, [remotes.TaskRequest(name, rank, overlap, 1) for rank, name in enumerate(names)])
        remotes.arrived(tx, mine, {name: 100 + rank for rank, name in enumerate(names)})
    return names


def answer(sample: str, label: str | None = "happiness", **more: object) -> dict[str, object]:
    """The body of an answer as the page sends it."""
    said = {"skip": True} if label is None else {"label": label}
    return {"id": str(uuid.uuid4()), "sample": sample, "seconds": 1.5, "shown": None, **said, **more}
