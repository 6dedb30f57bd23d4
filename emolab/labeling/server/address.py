"""Which Label Studio this workspace uses, and with whose token.

A server named by the environment (``LABEL_STUDIO_URL``) or in the settings (``labeling.url``) wins over the embedded
one; its token comes only from the environment (``EMOLAB_STUDIO_TOKEN``, else ``LABEL_STUDIO_API_KEY``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from emolab.errors import ConfigError, ServerError
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.progress import SILENT, Progress
from emolab.workspace import readable

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.workspace import Workspace

URL = "LABEL_STUDIO_URL"
PUBLIC_URL = "LABEL_STUDIO_PUBLIC_URL"
TOKENS = ("EMOLAB_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server and a token for it (which no ``repr`` shows); ``source`` says in words where the URL came from."""

    url: str
    token: str = field(repr=False)
    embedded: bool
    source: str


def external_url(workspace: Workspace | None, env: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return the URL of a server that is not the embedded one, and where it was set; ``None``: embedded.

    Raises ``ConfigError`` for one that cannot be an address.
    """
    configured = workspace.config.labeling.url if workspace is not None else ""
    for url, source in ((env.get(URL), f"${URL}"), (configured, "labeling.url")):
        if url:
            return checked(url, source), source
    return None


def for_people(workspace: Workspace, link: str, env: Mapping[str, str] = os.environ) -> str:
    """``link`` to a server that is not the embedded one, with the address under which people reach that server.

    In containers emolab calls Label Studio by a name that no browser knows. ``LABEL_STUDIO_PUBLIC_URL``, else
    ``labeling.public_url``, says the other address; without it the link stays as it is. Raises ``ConfigError`` for one
    that cannot be an address.
    """
    external = external_url(workspace, env)
    called = external[0].rstrip("/") if external else ""
    for public, source in (
        (env.get(PUBLIC_URL), f"${PUBLIC_URL}"),
        (workspace.config.labeling.public_url, "labeling.public_url"),
    ):
        if public and called and link.startswith(called):
            return checked(public, source).rstrip("/") + link[len(called) :]
    return link


def checked(url: str, source: str) -> str:
    """``url`` when it can be the address of a server.

    Raises ``ConfigError`` that names ``source``, where it was set, for one that has no host, a port that is none, a
    name and password in it, or characters no address has.
    """
    problem = ""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https"):
            problem = "it does not start with http:// or https://"
        elif not parts.hostname:
            problem = "it names no host"
        elif parts.port == 0:
            problem = "there is no port 0"
        elif parts.username is not None or parts.password is not None:
            raise ConfigError(
                f"{source} has a name or password in its address, where emolab does not want one.",
                hint=f"Leave it out; the token goes into {TOKENS[0]}.",
            )
        elif not url.strip().isprintable() or any(ch.isspace() for ch in url.strip()):
            problem = "there is a space or a control character in it"
    except ValueError as error:
        problem = str(error)
    if problem:
        raise ConfigError(
            f'{source} is "{readable(url)}", which is no address of a Label Studio server: {problem}.',
            hint='Write it like "http://localhost:8080".',
        )
    return url


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
    from emolab.labeling.label_studio.client import connect

    address = locate(workspace, wait=True, progress=progress)
    return connect(address.url, address.token, timeout=timeout)
