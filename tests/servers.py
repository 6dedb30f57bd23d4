"""Real servers for tests: one Label Studio per test session, on loopback, stopped by its pid."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from emolab.errors import MissingExtra
from emolab.labeling.program import find_program
from emolab.labeling.server import EmbeddedServer
from emolab.labeling.studio import Studio, connect
from emolab.workspace import Workspace

FACES = (
    '<View><Image name="image" value="$image"/><Choices name="emotion" toName="image" choice="single">'
    '<Choice value="happiness"/><Choice value="sadness"/><Choice value="neutral"/></Choices></View>'
)


@dataclass(frozen=True)
class LabelStudioServer:
    """A running server; ``token`` is the administrator's personal access token, ``legacy_token`` his old one."""

    url: str
    token: str
    legacy_token: str
    server: EmbeddedServer

    def client(self, token: str | None = None) -> Studio:
        """A client of the administrator, or of whoever ``token`` belongs to."""
        return connect(self.url, token or self.token)

    def annotator(self, name: str | None = None) -> tuple[str, Studio]:
        """A new annotator (about 0.5 s): e-mail and client. Without a name, a fresh one each time."""
        from emolab.labeling.studio_accounts import create_annotator

        email = f"{name or 'ann'}-{uuid.uuid4().hex[:8]}@team.example"
        with self.client() as admin:
            return email, connect(self.url, create_annotator(admin, email, f"pw-{uuid.uuid4().hex}"))


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A real Label Studio for the whole session (about 25 s to start); tests make projects of their own in it."""
    pytest.importorskip("label_studio_sdk")
    try:
        find_program()
    except MissingExtra as missing:
        pytest.skip(str(missing))
    workspace = Workspace.init(tmp_path_factory.mktemp("label-studio"), classes=("happiness", "sadness", "neutral"))
    server = EmbeddedServer(workspace)
    started = server.start(port=None, timeout=400.0)
    try:
        with connect(started.server.url, server.token()) as admin:
            admin.http.call("POST", "/api/jwt/settings", json={"legacy_api_tokens_enabled": True})
            legacy = str(admin.http.get("/api/current-user/token")["token"])
        yield LabelStudioServer(started.server.url, server.token(), legacy, server)
    finally:
        server.stop(grace=3.0)


@pytest.fixture
def project(label_studio: LabelStudioServer) -> Iterator[int]:
    """A project with three classes of its own, deleted afterwards."""
    with label_studio.client() as studio:
        made = studio.create_project(f"faces {uuid.uuid4().hex[:8]}", FACES, maximum_annotations=3)
        yield made.id
        studio.delete_project(made.id)
