"""Real servers for tests: one Label Studio per test session, on loopback, stopped by its pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from emolab.errors import MissingExtra
from emolab.files import user_cache
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server import installation
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.workspace import Workspace

CLASSES = ("happiness", "sadness", "neutral")
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

    def annotator_token(self, name: str = "ann") -> tuple[str, str]:
        """A new annotator (about 0.5 s): e-mail and personal access token; the e-mail is made unique."""
        from emolab.labeling.label_studio.accounts import create_annotator

        email = f"{name}-{uuid.uuid4().hex[:8]}@team.example"
        with self.client() as admin:
            return email, create_annotator(admin, email, f"pw-{uuid.uuid4().hex}")

    def annotator(self, name: str = "ann") -> tuple[str, Studio]:
        """A new annotator (about 0.5 s): e-mail and client."""
        email, token = self.annotator_token(name)
        return email, connect(self.url, token)


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A real Label Studio for the whole session; tests make projects of their own in it.

    The first one of a machine takes half a minute (migrations), the next begin with the empty database that it left.
    """
    pytest.importorskip("label_studio_sdk")
    try:
        installation.find_program()
    except MissingExtra as missing:
        pytest.skip(str(missing))
    workspace = Workspace.init(tmp_path_factory.mktemp("label-studio"), classes=CLASSES)
    server = EmbeddedServer(workspace)
    with quick_passwords():
        with made_by_one_worker(tmp_path_factory) as made:
            if made is not None and (made / "token").exists():
                copy_studio(made, workspace.studio)
            else:
                server.start(port=free_port(), timeout=400.0)
                if made is not None:
                    copy_studio(server.folder, made)
        running = server.running() or server.start(port=free_port(), timeout=400.0).server
    try:
        with connect(running.url, server.token()) as admin:
            admin.http.call("POST", "/api/jwt/settings", json={"legacy_api_tokens_enabled": True})
            legacy = str(admin.http.get("/api/current-user/token")["token"])
        yield LabelStudioServer(running.url, server.token(), legacy, server)
    finally:
        server.stop(grace=3.0)


@contextlib.contextmanager
def made_by_one_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """Where the first worker leaves a server's data, with its administrator, for the others; ``None`` without workers.

    Making them takes as long as starting the server does. One worker at a time is inside.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield None
        return
    place = tmp_path_factory.getbasetemp().parent / "label-studio-made"
    with FileLock(f"{place}.lock"):
        yield place


@contextlib.contextmanager
def quick_passwords() -> Iterator[None]:
    """A server that is started here checks passwords quickly; all else is as emolab starts it."""
    real, more = installation.environment, Path(__file__).parent / "studio_settings"

    def environment(folder: Path, **extra: str) -> dict[str, str]:
        made = real(folder, **extra)
        return {
            **made,
            "PYTHONPATH": f"{more}{os.pathsep}{made['PYTHONPATH']}",
            "DJANGO_SETTINGS_MODULE": "quick_passwords",
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installation, "environment", environment)
        yield


def share_empty_database(home: Path) -> None:
    """Let what runs with the home ``home`` use this user's empty database, or make it: else each makes its own."""
    kept = user_cache() / "label-studio"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / ".cache" / "emolab").mkdir(parents=True)
    (home / ".cache" / "emolab" / "label-studio").symlink_to(kept)


def copy_studio(source: Path, target: Path) -> None:
    """Copy the data of an embedded server, which may be running."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "data").mkdir(parents=True, mode=0o700)
    target.chmod(0o700)
    with (
        contextlib.closing(sqlite3.connect(source / "data" / installation.DATABASE)) as old,
        contextlib.closing(sqlite3.connect(target / "data" / installation.DATABASE)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode=WAL")
    shutil.copy2(source / "data" / ".env", target / "data" / ".env")
    shutil.copy2(source / "token", target / "token")


@pytest.fixture
def studio(label_studio: LabelStudioServer) -> Iterator[Studio]:
    """A client of the administrator."""
    with label_studio.client() as client:
        yield client


@pytest.fixture
def project(label_studio: LabelStudioServer) -> Iterator[int]:
    """A project with three classes of its own, deleted afterwards."""
    with label_studio.client() as studio:
        made = studio.create_project(f"faces {uuid.uuid4().hex[:8]}", FACES, maximum_annotations=3)
        yield made.id
        studio.delete_project(made.id)


@pytest.fixture
def embedded(label_studio: LabelStudioServer, workspace: Workspace) -> Iterator[EmbeddedServer]:
    """A second server on a copy of the session's data (starts in 4 s, not 25), stopped afterwards."""
    copy_studio(label_studio.server.folder, workspace.studio)
    server = EmbeddedServer(workspace)
    yield server
    server.stop(grace=2.0)
