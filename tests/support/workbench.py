"""The app in this process, over a workspace, for tests without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from emolab.serving.app.application import create
from emolab.serving.workbench import all_routes
from emolab.serving.workbench.session import APP, Workbench
from emolab.workspace import Workspace
from tests.support.serving import service

ADDRESS = "http://localhost:8000"


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
