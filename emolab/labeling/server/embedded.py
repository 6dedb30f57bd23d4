"""The embedded Label Studio: a server in the workspace, so that a lone user needs nothing else.

It is the stock ``label-studio`` program on SQLite below ``.emolab/studio``, listening on loopback unless told
otherwise, with telemetry and update checks off and sign-up by invitation only. The administrator's password is made
at random, shown once by whoever called ``start``, and kept nowhere; emolab keeps a revocable token instead.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from emolab.errors import ConfigError, EmolabError, ServerError
from emolab.files import write_text
from emolab.labeling.label_studio import tokens
from emolab.labeling.server import daemon, installation
from emolab.labeling.server.daemon import EVERYWHERE, LOOPBACK
from emolab.labeling.server.installation import ADMIN
from emolab.progress import SILENT, Progress
from emolab.workspace import Workspace

FIRST_PORT = 8080
ATTEMPTS = 3  # ports tried where none is asked for
LATE = 60.0  # seconds to wait for an answer of a server that was started longer ago than a start takes
NEEDS_BYTES = 200_000_000  # free disk below which a start is refused
_A_START = 300.0  # seconds that a start may take, the first one with its database included
_BOUND = re.compile(r"Starting development server at http://\S+:(\d+)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server process, as noted in ``server.json``; ``log_start`` is where its part of the log begins."""

    pid: int
    born: str
    host: str
    port: int
    started_at: float
    log_start: int

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        return f"http://{LOOPBACK if self.host in EVERYWHERE else self.host}:{self.port}"

    @property
    def open_to_network(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in {LOOPBACK, "localhost", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The outcome of ``start``: ``password`` is set only when a new one was made; show it, then forget it."""

    server: Running
    already_up: bool = False
    password: str | None = field(default=None, repr=False)


class EmbeddedServer:
    """The Label Studio of one workspace."""

    _children: ClassVar[list[subprocess.Popen[bytes]]] = []  # kept so that no one warns about a child left running

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.folder = workspace.studio
        self.log = workspace.logs / "label-studio.log"
        self.token_file = self.folder / "token"
        self._note = self.folder / "server.json"

    def running(self) -> Running | None:
        """Return the server when its process is alive (it may still be starting), else ``None``."""
        noted = self._last()
        return noted if noted is not None and daemon.birth(noted.pid) == noted.born else None

    def ready(self, *, timeout: float = _A_START, progress: Progress = SILENT) -> Running | None:
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
        return up if up is None or _healthy(up.host, up.port) else self._answering(up, end, progress)

    def _answers(self) -> bool:
        up = self.running()
        return up is not None and self.token_file.exists() and _healthy(up.host, up.port)

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
        timeout: float = _A_START,
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
                self._choose_port(port, host or LOOPBACK)  # what cannot be is said before a database is made
                self._prepare_folders()
                password = None if self.token_file.exists() else installation.new_password()
                if not installation.data_folder(self.folder).exists():
                    password = password or installation.new_password()
                    installation.create_database(
                        command, self.folder, password, log=self.log, end=end, progress=progress
                    )
                up = self._launch_on(port, command, host or LOOPBACK, end=end, progress=progress)
                if password is not None:
                    self._make_token(up, password)
                return Started(server=up, password=password)
            up = self._answering(up, end, progress)
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

    def stop(self, *, grace: float = 10.0, timeout: float = _A_START, progress: Progress = SILENT) -> bool:
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

    def _last(self) -> Running | None:
        try:
            return Running(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):  # none yet, or written by another version
            return None

    def _choose_port(self, port: int | None, host: str) -> int:
        if port is not None:
            if not 0 < port < 65536:
                raise ConfigError(f"There is no port {port}.", hint="Choose one from 1024 to 65535.")
            if problem := daemon.why_taken(port, host):
                raise EmolabError(f"{problem}.", hint="Choose another, or leave --port out to get a free one.")
            return port
        last = self._last()
        candidates = [last.port] if last else []
        candidates += range(FIRST_PORT, FIRST_PORT + 20)
        free = next((p for p in candidates if daemon.why_taken(p, host) is None), None)
        if free is None and (problem := daemon.why_taken(0, host)):
            raise ConfigError(f"{problem}.", hint="Use 127.0.0.1 for this machine only, 0.0.0.0 for the network.")
        return free or daemon.free_port(host)

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

    def _launch_on(self, wanted: int | None, command: str, host: str, *, end: float, progress: Progress) -> Running:
        """Start the program on the port ``wanted``, or on one that is free now.

        Making the database takes a while, and so does a start: what was free before may be another server's by then.
        """
        left = 1 if wanted is not None else ATTEMPTS
        while True:
            port = wanted or self._choose_port(None, host)
            left -= 1
            try:
                return self._launch(command, host, port, end=end, progress=progress, exact=wanted is not None)
            except installation.PortTaken:
                if not left:
                    raise

    def _launch(self, command: str, host: str, port: int, *, end: float, progress: Progress, exact: bool) -> Running:
        """Start the program and return it once it answers."""
        log_start = daemon.begin_log(self.log)
        self._note.unlink(missing_ok=True)
        process = daemon.spawn(
            [command, "start", "--no-browser", "--internal-host", host, "--port", str(port)],
            env=installation.environment(self.folder),
            cwd=self.folder,
            log=self.log,
            note=self._note,
            facts={"host": host, "port": port, "started_at": time.time(), "log_start": log_start},
        )
        self._children.append(process)
        try:
            while (server := self._last()) is None:
                if process.poll() is not None or time.monotonic() > end:
                    raise installation.crashed("at once", self.log, log_start)
                time.sleep(0.02)
            server = self._answering(server, end, progress)
            if not installation.settings_in_force(self.log, log_start):
                raise installation.without_settings(self.log)
            if exact and server.port != port:
                raise EmolabError(f"Port {port} was taken while Label Studio started.", hint="Run this again.")
        except BaseException:
            if process.poll() is None:
                daemon.stop(process.pid, daemon.birth(process.pid) or "", grace=2.0)
            raise
        return server

    def _answering(self, server: Running, end: float, progress: Progress) -> Running:
        """Wait until the server answers; returns it with the port it really took (it moves when one is taken)."""
        old = time.time() - server.started_at > _A_START
        bound = server.port if old else None
        if old:
            end = min(end, time.monotonic() + LATE)
        with progress.task("Waiting for Label Studio to answer" if old else "Starting Label Studio"):
            while time.monotonic() < end:
                if daemon.birth(server.pid) != server.born:
                    raise installation.crashed("while starting", self.log, server.log_start)
                if bound is None:
                    bound = _bound_port(self.log, server.log_start)
                if bound is not None and _healthy(server.host, bound):
                    if bound != server.port:
                        server = replace(server, port=bound)
                        write_text(self._note, json.dumps(asdict(server)))
                    return server
                time.sleep(0.1)
        raise ServerError(
            f"Label Studio (pid {server.pid}) runs but does not answer at {server.url}.",
            hint=f'Run "emolab studio down", then "emolab studio up". The log is {self.log}.',
            retryable=True,
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


def _bound_port(log: Path, start: int) -> int | None:
    """Return the port the server says it listens on, from its part of the log; ``None`` when it does not (yet)."""
    try:
        with log.open("rb") as stream:
            stream.seek(start)
            found = _BOUND.search(stream.read(65536).decode("utf-8", errors="replace"))
    except FileNotFoundError:  # somebody tidied up while the server ran
        return None
    return int(found[1]) if found else None


def _healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK if host in EVERYWHERE else host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
