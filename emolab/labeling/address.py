"""Which Label Studio this workspace uses, and with whose token.

A server named by the environment (``LABEL_STUDIO_URL``) or in the settings (``labeling.url``) wins over the embedded
one; its token comes only from the environment (``EMOLAB_STUDIO_TOKEN``, else ``LABEL_STUDIO_API_KEY``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.errors import ConfigError, ServerError
from emolab.labeling.server import EmbeddedServer
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from emolab.labeling.studio import Studio
    from emolab.workspace import Workspace

URL = "LABEL_STUDIO_URL"
TOKENS = ("EMOLAB_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server and a token for it (which no ``repr`` shows); ``source`` says in words where the URL came from."""

    url: str
    token: str = field(repr=False)
    embedded: bool
    source: str


def external_url(workspace: Workspace, env: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return the URL of a server that is not the embedded one, and where it was set; ``None``: embedded."""
    if env.get(URL):
        return env[URL], f"${URL}"
    if workspace.config.labeling.url:
        return workspace.config.labeling.url, "labeling.url"
    return None


def locate(
    workspace: Workspace, env: Mapping[str, str] = os.environ, *, wait: bool = False, progress: Progress = SILENT
) -> Address:
    """Return the server and token to use; with ``wait``, an embedded one that is starting is waited for.

    Raises ``ConfigError`` when an external server has no token and ``ServerError`` when the embedded one is down.
    """
    token = next((env[name] for name in TOKENS if env.get(name)), None)
    external = external_url(workspace, env)
    if external is not None:
        url, source = external
        if token is None:
            raise ConfigError(
                f"There is no token for Label Studio at {url} (from {source}).",
                hint=f'Create a "Personal Access Token" at {url.rstrip("/")}/user/account, then: '
                f"export {TOKENS[0]}=<token>",
            )
        return Address(url=url, token=token, embedded=False, source=source)
    server = EmbeddedServer(workspace)
    running = server.ready(progress=progress) if wait else server.running()
    if running is None:
        raise ServerError(
            "Label Studio is not running.",
            hint='Run "emolab studio up", or set labeling.url in emolab.toml to use a server you have.',
            retryable=True,
        )
    return Address(url=running.url, token=env.get(TOKENS[0]) or server.token(), embedded=True, source="embedded")


def open_studio(workspace: Workspace, *, timeout: float = 120.0, progress: Progress = SILENT) -> Studio:
    """Return a client for the workspace's Label Studio, and wait for an embedded one that is starting."""
    from emolab.labeling.studio import connect

    address = locate(workspace, wait=True, progress=progress)
    return connect(address.url, address.token, timeout=timeout)
