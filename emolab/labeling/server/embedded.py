"""The embedded Label Studio: a server in the workspace, so that a lone user needs nothing else.

It is the stock ``label-studio`` program on SQLite below ``.emolab/studio``, listening on loopback unless told
otherwise, with telemetry and update checks off and sign-up by invitation only. The administrator's password is made
at random, shown once by whoever called ``start``, and kept nowhere; emolab keeps a revocable token instead.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emolab.errors import EmolabError, ServerError
from emolab.labeling.label_studio import tokens
from emolab.labeling.server import daemon, installation
from emolab.labeling.server.daemon import LOOPBACK
from emolab.labeling.server.installation import ADMIN
from emolab.labeling.server.server_process import A_START, Running, ServerProcess, healthy
from emolab.progress import SILENT, Progress
from emolab.workspace import Workspace

NEEDS_BYTES = 200_000_000  # free disk below which a start is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The outcome of ``start``: ``password`` is set only when a new one was made; show it, then forget it."""

    server: Running
    already_up: bool = False
    password: str | None = field(default=None, repr=False)


class EmbeddedServer:
    """The Label Studio of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.folder = workspace.studio
        self.log = workspace.logs / "label-studio.log"
        self.token_file = self.folder / "token"
        self._process = ServerProcess(self.folder, self.log)

    def running(self) -> Running | None:
        """Return the server when its process is alive (it may still be starting), else ``None``."""
        return self._process.running()

    def ready(self, *, timeout: float = A_START, progress: Progress = SILENT) -> Running | None:
        """Return the server once it answers, or ``None`` when none runs and none is being started.

        Waits for one that another emolab starts, its first database included. ``timeout`` is in seconds. Raises
        ``EmolabError`` when the server stops meanwhile or does not answer in time.
        """
        end = time.monotonic() + timeout
        if not self._answers() and self.workspace.busy("studio"):
            with progress.task('Waiting for Label Studio, which "emolab studio up" is starting'):
                while not self._answers() and self.workspace.busy("studio") and time.monotonic() < end:
                    time.sleep(0.2)
        up = self.running()
        return up if up is None or healthy(up) else self._process.wait(up, end=end, progress=progress)

    def _answers(self) -> bool:
        up = self.running()
        return up is not None and self.token_file.exists() and healthy(up)

    def token(self) -> str:
        """Return emolab's own token for this server."""
        try:
            return self.token_file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise ServerError(
                "The embedded Label Studio is not set up in this workspace.", hint='Run "emolab studio up".'
            ) from None

    def start(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        timeout: float = A_START,
        progress: Progress = SILENT,
    ) -> Started:
        """Bring the server up and return it; when it is up already, that is fine too.

        ``port``: ``None`` takes the last one used, else 8080 or the next free one; a given port must be free.
        ``timeout`` is in seconds and covers the first start, which creates the database.
        Raises ``EmolabError`` for a taken port, a full disk, a missing program or a crash (with the end of its log).
        """
        with self._alone(timeout, progress):
            end = time.monotonic() + timeout
            up = self.running()
            if up is None:
                command = installation.find_program()
                self._process.choose_port(port, host or LOOPBACK)  # what cannot be is said before a database is made
                self._prepare_folders()
                password = None if self.token_file.exists() else installation.new_password()
                if not installation.data_folder(self.folder).exists():
                    password = password or installation.new_password()
                    installation.create_database(
                        command, self.folder, password, log=self.log, end=end, progress=progress
                    )
                up = self._process.start(port, command, host or LOOPBACK, end=end, progress=progress)
                if password is not None:
                    self._make_token(up, password)
                return Started(server=up, password=password)
            up = self._process.wait(up, end=end, progress=progress)
            if not installation.settings_in_force(self.log, up.log_start):
                progress.note(
                    "Label Studio was started by an older emolab, under which it carries out requests twice when it is "
                    'busy. Run "emolab studio down", then "emolab studio up".'
                )
            if (port is not None and port != up.port) or (host is not None and host != up.host):
                raise EmolabError(
                    f"Label Studio is already up on {up.host}, port {up.port}.",
                    hint='To move it, run "emolab studio down" first.',
                )
            if self.token_file.exists():
                return Started(server=up, already_up=True)
            return Started(server=up, already_up=True, password=self._new_password(up))

    def stop(self, *, grace: float = 10.0, timeout: float = A_START, progress: Progress = SILENT) -> bool:
        """Stop the server; ``False`` when it was not running. Data and token stay.

        A start that is under way is waited for, ``timeout`` seconds at most: it would bring the server up afterwards.
        """
        with self._alone(timeout, progress):
            noted = self.running()
            return noted is not None and daemon.stop(noted.pid, noted.born, grace=grace)

    def reset_password(self) -> str:
        """Give the administrator a new random password (and emolab a new token) and return the password."""
        with self.workspace.lock("studio"):
            up = self.running()
            if up is None:
                raise ServerError("The embedded Label Studio is not running.", hint='Run "emolab studio up" first.')
            return self._new_password(up)

    @contextmanager
    def _alone(self, wait: float, progress: Progress) -> Iterator[None]:
        """Hold the lock of starts and stops; another one is waited for, and that is said."""
        if self.workspace.busy("studio"):
            progress.note("Another emolab is starting or stopping Label Studio; waiting until it has.")
        with self.workspace.lock("studio", wait=wait):
            yield

    def _prepare_folders(self) -> None:
        try:
            for folder in (self.folder, self.log.parent):
                folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise EmolabError(f"Cannot write to {self.folder}: {error.strerror}.") from None
        if free < NEEDS_BYTES:
            raise EmolabError(
                f"Only {free / 1e6:.0f} MB are free on the disk of {self.folder}, expected {NEEDS_BYTES / 1e6:.0f} MB "
                "for Label Studio.",
                hint="Free some space and run this again.",
            )

    def _make_token(self, server: Running, password: str) -> None:
        """Exchange the password for emolab's own token; an account left over from a crash gets this password."""
        from emolab.labeling.label_studio.accounts import personal_token

        token = personal_token(server.url, ADMIN, password)
        if token is None:
            self._new_password(server, password)
        else:
            tokens.write(self.token_file, token)

    def _new_password(self, server: Running, password: str | None = None) -> str:
        from emolab.labeling.label_studio.accounts import personal_token

        password = password or installation.new_password()
        installation.set_password(installation.find_program(), self.folder, password)
        token = personal_token(server.url, ADMIN, password)
        if token is None:
            raise ServerError(f"Label Studio at {server.url} does not accept its own administrator {ADMIN}.")
        tokens.write(self.token_file, token)
        return password
