"""What ``emolab doctor`` asks of servers and of the workspace; no answer ever repeats a token or a password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from emolab.errors import EmolabError
from emolab.loop.operate.checks.check import Check, Probe, clone_or, get, installed, probe, shorten

if TYPE_CHECKING:
    from emolab.workspace import Workspace

SERVER = "Label Studio server"

#: What the optional rows add.
PROJECT = "a project to work in"
OWN = "a Label Studio in the workspace, without one elsewhere"
PAGE = "the page on which your team answers"

PING = """
import os, pymongo
client = pymongo.MongoClient(os.environ['FIFTYONE_DATABASE_URI'], serverSelectionTimeoutMS=5000)
found['version'] = client.server_info()['version']
"""
MONGODB = "Start any MongoDB 6 or newer and set FIFTYONE_DATABASE_URI=mongodb://HOST:PORT"


def database(uri: str | None, ping: Callable[[str], Probe] = probe) -> Check:
    """FiftyOne's database: the server ``FIFTYONE_DATABASE_URI`` names, or a mongod that starts here."""
    from emolab.datasets.inspect import mongod

    name = "FiftyOne's database"
    if uri:
        answer = ping(PING)
        if answer.found is None:
            detail = f"FIFTYONE_DATABASE_URI is set, but nobody answers: {answer.complaint}"
            return Check(name=name, state="broken", detail=shorten(detail), fix="Start it, or unset the variable.")
        if int(str(answer.found["version"]).split(".", maxsplit=1)[0]) < mongod.OLDEST[0]:
            detail = f"MongoDB {answer.found['version']} is too old, FiftyOne needs {mongod.OLDEST[0]}"
            return Check(name=name, state="broken", detail=detail, fix=MONGODB)
        detail = f"MongoDB {answer.found['version']} by FIFTYONE_DATABASE_URI"
        return Check(name=name, state="works", detail=detail)
    try:
        program = mongod.find()
    except EmolabError as error:
        return Check(name=name, state="missing", detail=shorten(error.message), fix=clone_or(MONGODB))
    return Check(name=name, state="works", detail=f"MongoDB {program.version}, started when needed")


def catalog(workspace: Workspace | None, problem: EmolabError | None = None) -> Check:
    """The workspace and the health of its catalog."""
    name = "Workspace"
    if workspace is None:
        if problem is not None and "There is no emolab workspace" not in problem.message:
            return Check(name=name, state="broken", detail=shorten(problem.message), fix=problem.hint)
        return Check(name=name, state="missing", detail="none here", fix="emolab init", needed=False, adds=PROJECT)
    try:
        with workspace.catalog() as opened:
            wrong = workspace.problems(opened)
    except EmolabError as error:
        return Check(name=name, state="broken", detail=shorten(error.message), fix=error.hint)
    if wrong:
        return Check(
            name=name,
            state="broken",
            detail=shorten("; ".join(wrong)),
            fix="Restore a backup with: emolab restore FILE. Media and models are not affected.",
        )
    return Check(name=name, state="works", detail=f"{workspace.config.project.name} in {workspace.root}: healthy")


def label_studio_program() -> Check:
    """The client that talks to Label Studio, and the server for those who have none."""
    name = "Label Studio"
    client, server = installed("label-studio-sdk"), installed("label-studio")
    if client is None or installed("httpx") is None:
        return Check(name=name, state="missing", detail="the client is not installed", fix=get("label"))
    if server is None:
        detail = f"client {client}; no server of its own"
        return Check(name=name, state="missing", detail=detail, fix=get("studio"), needed=False, adds=OWN)
    return Check(name=name, state="works", detail=f"client {client}, server {server}")


def studio_of(workspace: Workspace | None, env: Mapping[str, str]) -> Check:
    """The Label Studio this workspace uses: the one the environment or the settings name, else the embedded one."""
    from emolab.labeling.server import address
    from emolab.labeling.server.embedded import EmbeddedServer

    token = next((env[name] for name in address.TOKENS if env.get(name)), "")
    try:
        named = address.external_url(workspace, env)
    except EmolabError as error:
        return Check(name=SERVER, state="broken", detail=shorten(error.message), fix=error.hint)
    if named is not None:
        return studio(named[0], token)
    embedded = EmbeddedServer(workspace) if workspace is not None else None
    running = embedded.running() if embedded is not None else None
    if embedded is None or running is None:
        detail = "none named, the embedded one is not running"
        return Check(name=SERVER, state="missing", detail=detail, fix="emolab studio up", needed=False, adds=PAGE)
    try:
        return studio(running.url, token or embedded.token())
    except EmolabError as error:
        return Check(name=SERVER, state="broken", detail=shorten(error.message), fix=error.hint)


def studio(url: str, token: str, *, seconds: float = 10.0) -> Check:
    """Whether the team's Label Studio at ``url`` answers and accepts the token."""
    from emolab.labeling.label_studio import client, tokens
    from emolab.labeling.server import releases

    shown = shorten(url)
    if not token:
        where = f"Create a token on {shown}{tokens.ACCOUNT_PAGE}, then: export EMOLAB_STUDIO_TOKEN=..."
        return Check(name=SERVER, state="missing", detail=f"{shown}: EMOLAB_STUDIO_TOKEN is not set", fix=where)
    try:
        kind = tokens.usable(token, url=shown)
        with client.connect(url, token, timeout=seconds) as server:
            user, release = server.whoami(), server.version()
    except EmolabError as error:
        return Check(name=SERVER, state="broken", detail=shorten(error.message), fix=error.hint)
    detail, doubt = f"{shown} {release}, as {user.email}, by {kind}", releases.untried(release)
    return Check(name=SERVER, state="works", detail=f"{detail}. {doubt}" if doubt else detail)
