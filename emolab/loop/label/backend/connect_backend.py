"""Label Studio is told where emolab answers as its ML backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: What the backend is called in Label Studio.
TITLE = "emolab"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendConnected(Result):
    """The ML backend ``backend`` (its number) of ``project`` is emolab at ``url``; ``restarted``: the server was."""

    project: str
    backend: int
    url: str
    restarted: bool


def connect_studio(
    workspace: Workspace,
    url: str = "http://127.0.0.1:8000",
    *,
    key: str | None = None,
    title: str | None = None,
    progress: Progress = SILENT,
) -> BackendConnected:
    """Let Label Studio ask the server at ``url``, which runs as ``emolab serve --studio``, about its tasks.

    ``key`` is one of the server's keys, where it demands them; ``title`` names the project [that of the settings]. The
    embedded Label Studio is started again where it may not yet call servers on this machine. Run it again at will.

    Raises :class:`DataError` without a project, and :class:`ServerError` when Label Studio cannot reach the server.
    """
    from emolab.errors import DataError
    from emolab.labeling.server.address import external_url, open_studio
    from emolab.labeling.sync import project as projects

    restarted = external_url(workspace) is None and _unguarded(workspace, progress)
    title = title or projects.title_of(workspace.config)
    with open_studio(workspace, progress=progress) as client, workspace.catalog() as catalog:
        found = projects.family(catalog, client, title).chosen
        if found is None:
            raise DataError(f'There is no project "{title}" yet.', hint="Make it with: emolab label push")
        number = client.connect_backend(found.id, title=TITLE, url=url.rstrip("/"), password=key)
    return BackendConnected(project=found.title, backend=number, url=url, restarted=restarted)


def _unguarded(workspace: Workspace, progress: Progress) -> bool:
    """Let the embedded server call this machine; whether it had to be started again for that."""
    from emolab.labeling.server import installation
    from emolab.labeling.server.embedded import EmbeddedServer

    server = EmbeddedServer(workspace)
    if installation.may_call_this_machine(server.folder):
        return False
    installation.let_call_this_machine(server.folder)
    running = server.running()
    if running is None:
        return False
    server.stop(progress=progress)
    server.start(port=running.port, host=running.host, progress=progress)
    return True
