"""The embedded Label Studio of a workspace: started, stopped, found, and people let in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.labeling.server.embedded import EmbeddedServer
    from emolab.labeling.server.server_process import Running
    from emolab.progress import Progress
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioStarted(Result):
    """A server that answers at ``url``. ``password`` is the administrator's, known on the first start alone.

    ``outside`` is the address under which other machines reach it; ``None``: it listens on this machine only.
    """

    url: str
    pid: int
    already_up: bool
    log: Path
    email: str | None
    password: str | None
    outside: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioInvitation(Result):
    """The link with which people sign up, the ``project`` it leads on to, and who can reach it.

    ``port`` is the embedded server's, ``None`` where another one is used.
    """

    invite: str
    project: str | None
    this_machine_only: bool
    port: int | None


@dataclass(frozen=True, slots=True)
class StudioStopped(Result):
    """Whether there was a server to stop: it was running, and is ``stopped``."""

    stopped: bool


@dataclass(frozen=True, slots=True)
class StudioAddress(Result):
    """The ``url`` of the Label Studio in use, and whether it is the ``embedded`` one."""

    url: str
    embedded: bool


@dataclass(frozen=True, slots=True)
class StudioLogin(Result):
    """The administrator's ``email`` and new ``password``."""

    email: str
    password: str


def start_studio(
    workspace: Workspace, *, port: int | None = None, host: str | None = None, progress: Progress = SILENT
) -> StudioStarted:
    """Start the embedded Label Studio in the background and wait until it answers; safe to run again.

    ``port`` and ``host`` default to the settings, then to the last ones. Raises :class:`ConfigError` where the
    workspace uses a server of its own.
    """
    server, settings = embedded(workspace), workspace.config.labeling
    started = server.start(
        port=port if port is not None else settings.port or None, host=host or settings.host or None, progress=progress
    )
    running = started.server
    return StudioStarted(
        url=running.url,
        pid=running.pid,
        already_up=started.already_up,
        log=server.log,
        email=administrator() if started.password else None,
        password=started.password,
        outside=_outside(running) if running.open_to_network else None,
    )


def stop_studio(workspace: Workspace, *, progress: Progress = SILENT) -> StudioStopped:
    """Stop the embedded Label Studio, where it runs; everything in it is kept.

    Raises :class:`ConfigError` where the workspace uses a server of its own.
    """
    return StudioStopped(embedded(workspace).stop(progress=progress))


def wait_for_studio(workspace: Workspace) -> None:
    """Return when Ctrl-C was pressed and the server is stopped. Raises :class:`EmolabError` when it ends by itself."""
    import time

    from emolab.labeling.server.installation import crashed

    server = embedded(workspace)
    running = server.running()
    try:
        while server.running() is not None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        server.stop()
        return
    raise crashed("by itself", server.log, running.log_start if running else 0)


def studio_url(workspace: Workspace) -> StudioAddress:
    """The address of the Label Studio in use. Raises :class:`EmolabError` where the embedded one is not running."""
    from emolab.labeling.server.address import external_url, for_people, locate

    external = external_url(workspace)
    return (
        StudioAddress(for_people(workspace, external[0]), False)
        if external
        else StudioAddress(locate(workspace).url, True)
    )


def invite(workspace: Workspace, *, progress: Progress = SILENT) -> StudioInvitation:
    """The link with which annotators create their accounts; it leads on to the project where there is one.

    Raises :class:`EmolabError` without a server.
    """
    from emolab.labeling.label_studio.accounts import invitation
    from emolab.labeling.server.address import external_url, for_people, open_studio
    from emolab.labeling.server.embedded import EmbeddedServer
    from emolab.labeling.sync import project

    running = None if external_url(workspace) else EmbeddedServer(workspace).running()
    title = project.title_of(workspace.config)
    with open_studio(workspace, progress=progress) as client, workspace.catalog() as catalog:
        found = project.family(catalog, client, title).chosen
        link = invitation(client, found.id if found else None)
    if running is not None and running.open_to_network:
        link = link.replace(running.url, _outside(running), 1)
    return StudioInvitation(
        invite=for_people(workspace, link),
        project=found.title if found else None,
        this_machine_only=running is not None and not running.open_to_network,
        port=running.port if running else None,
    )


def new_password(workspace: Workspace) -> StudioLogin:
    """Give the embedded server's administrator a new random password and renew the token that emolab keeps.

    Raises :class:`ConfigError` where the workspace uses a server of its own.
    """
    return StudioLogin(administrator(), embedded(workspace).reset_password())


def embedded(workspace: Workspace) -> EmbeddedServer:
    """The embedded server. Raises :class:`ConfigError` when the workspace uses another one."""
    from emolab.errors import ConfigError
    from emolab.labeling.server.address import external_url
    from emolab.labeling.server.embedded import EmbeddedServer

    external = external_url(workspace)
    if external is not None:
        address, source = external
        raise ConfigError(
            f"This workspace uses Label Studio at {address} (from {source}), which emolab neither starts nor stops.",
            hint=f"Remove {source} to use the embedded one.",
        )
    return EmbeddedServer(workspace)


def check_studio_is_down(root: Path) -> None:
    """Raise :class:`EmolabError` while the embedded server of the workspace in ``root`` runs."""
    from emolab.config import Config
    from emolab.errors import EmolabError
    from emolab.labeling.server.embedded import EmbeddedServer
    from emolab.workspace import Workspace

    if EmbeddedServer(Workspace(root, Config())).running() is not None:
        raise EmolabError(
            f"Label Studio runs in {root}.",
            hint="Stop it with: emolab studio down. Then run this again.",
        )


def administrator() -> str:
    """The e-mail with which the administrator logs in."""
    from emolab.labeling.server.installation import ADMIN

    return ADMIN


def _outside(running: Running) -> str:
    """The address under which other machines reach a server that listens everywhere."""
    from emolab.labeling.server.daemon import EVERYWHERE, outside_address

    return f"http://{outside_address()}:{running.port}" if running.host in EVERYWHERE else running.url
