"""The process of the embedded Label Studio: the port it gets, how it is started and found again, when it answers.

What is known of it is noted in ``server.json``: another command finds it there, and believes the note only while a
process with that pid and that birth runs.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from emolab.errors import ConfigError, EmolabError, ServerError
from emolab.files import write_text
from emolab.labeling.server import daemon, installation
from emolab.labeling.server.daemon import EVERYWHERE, LOOPBACK
from emolab.progress import Progress

FIRST_PORT = 8080
ATTEMPTS = 3  # ports tried where none is asked for
LATE = 60.0  # seconds to wait for an answer of a server that was started longer ago than a start takes
A_START = 300.0  # seconds that a start may take, the first one with its database included
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


class ServerProcess:
    """The process of the server whose data are in ``folder`` and which writes to ``log``."""

    _children: ClassVar[list[subprocess.Popen[bytes]]] = []  # kept so that no one warns about a child left running

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._log = log
        self._note = folder / "server.json"

    def running(self) -> Running | None:
        """Return the server when its process is alive (it may still be starting), else ``None``."""
        noted = self._noted()
        return noted if noted is not None and daemon.birth(noted.pid) == noted.born else None

    def choose_port(self, port: int | None, host: str) -> int:
        """Return ``port``, which must be free; for ``None`` the last one used, else 8080 or the next free one.

        Raises ``EmolabError`` for a port that is taken or that there is not, and a host that is not this machine's.
        """
        if port is not None:
            if not 0 < port < 65536:
                raise ConfigError(f"There is no port {port}.", hint="Choose one from 1024 to 65535.")
            if problem := daemon.why_taken(port, host):
                raise EmolabError(f"{problem}.", hint="Choose another, or leave --port out to get a free one.")
            return port
        last = self._noted()
        candidates = [last.port] if last else []
        candidates += range(FIRST_PORT, FIRST_PORT + 20)
        free = next((p for p in candidates if daemon.why_taken(p, host) is None), None)
        if free is None and (problem := daemon.why_taken(0, host)):
            raise ConfigError(f"{problem}.", hint="Use 127.0.0.1 for this machine only, 0.0.0.0 for the network.")
        return free or daemon.free_port(host)

    def start(self, wanted: int | None, command: str, host: str, *, end: float, progress: Progress) -> Running:
        """Start the program on the port ``wanted``, or on one that is free now.

        Making the database takes a while, and so does a start: what was free before may be another server's by then.
        """
        left = 1 if wanted is not None else ATTEMPTS
        while True:
            port = wanted or self.choose_port(None, host)
            left -= 1
            try:
                return self._launch(command, host, port, end=end, progress=progress, exact=wanted is not None)
            except installation.PortTaken:
                if not left:
                    raise

    def wait(self, server: Running, *, end: float, progress: Progress) -> Running:
        """Wait until the server answers; returns it with the port it really took (it moves when one is taken)."""
        old = time.time() - server.started_at > A_START
        bound = server.port if old else None
        if old:
            end = min(end, time.monotonic() + LATE)
        with progress.task("Waiting for Label Studio to answer" if old else "Starting Label Studio"):
            while time.monotonic() < end:
                if daemon.birth(server.pid) != server.born:
                    raise installation.crashed("while starting", self._log, server.log_start)
                if bound is None:
                    bound = _bound_port(self._log, server.log_start)
                if bound is not None and healthy(replace(server, port=bound)):
                    if bound != server.port:
                        server = replace(server, port=bound)
                        write_text(self._note, json.dumps(asdict(server)))
                    return server
                time.sleep(0.1)
        raise ServerError(
            f"Label Studio (pid {server.pid}) runs but does not answer at {server.url}.",
            hint=f'Run "emolab studio down", then "emolab studio up". The log is {self._log}.',
            retryable=True,
        )

    def _noted(self) -> Running | None:
        try:
            return Running(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):  # none yet, or written by another version
            return None

    def _launch(self, command: str, host: str, port: int, *, end: float, progress: Progress, exact: bool) -> Running:
        """Start the program and return it once it answers."""
        log_start = daemon.begin_log(self._log)
        self._note.unlink(missing_ok=True)
        process = daemon.spawn(
            [command, "start", "--no-browser", "--internal-host", host, "--port", str(port)],
            env=installation.environment(self._folder),
            cwd=self._folder,
            log=self._log,
            note=self._note,
            facts={"host": host, "port": port, "started_at": time.time(), "log_start": log_start},
        )
        self._children.append(process)
        try:
            while (server := self._noted()) is None:
                if process.poll() is not None or time.monotonic() > end:
                    raise installation.crashed("at once", self._log, log_start)
                time.sleep(0.02)
            server = self.wait(server, end=end, progress=progress)
            if not installation.settings_in_force(self._log, log_start):
                raise installation.without_settings(self._log)
            if exact and server.port != port:
                raise EmolabError(f"Port {port} was taken while Label Studio started.", hint="Run this again.")
        except BaseException:
            if process.poll() is None:
                daemon.stop(process.pid, daemon.birth(process.pid) or "", grace=2.0)
            raise
        return server


def _bound_port(log: Path, start: int) -> int | None:
    """Return the port the server says it listens on, from its part of the log; ``None`` when it does not (yet)."""
    try:
        with log.open("rb") as stream:
            stream.seek(start)
            found = _BOUND.search(stream.read(65536).decode("utf-8", errors="replace"))
    except FileNotFoundError:  # somebody tidied up while the server ran
        return None
    return int(found[1]) if found else None


def healthy(server: Running) -> bool:
    """Whether the server says of itself, at its address, that it works."""
    host = LOOPBACK if server.host in EVERYWHERE else server.host
    connection = http.client.HTTPConnection(host, server.port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
