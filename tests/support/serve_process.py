"""``emolab serve`` in a process of its own, and workspaces whose champions answer at once."""

from __future__ import annotations

import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.rollback import twin
from emolab.catalog import models
from emolab.training.networks import bundled
from emolab.workspace import Workspace


@dataclass
class ServeProcess:
    """A server that answers: its address and its process."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, object]]:
        return self.ask("GET", path, None, headers)

    def post(
        self, body: bytes, headers: Mapping[str, str] | None = None, path: str = "/v1/predict"
    ) -> tuple[int, dict[str, object]]:
        return self.ask("POST", path, body, headers)

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> tuple[int, dict[str, object]]:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def memory_mb(self, what: str = "VmHWM") -> float:
        """Resident memory: the most there ever was, or with VmRSS what there is now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{what}:"))

    def cpu_seconds(self) -> float:
        """CPU seconds that the process has used, in all its threads."""
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[ServeProcess]:
    """``emolab ARGUMENTS``, which must serve on a free port; stopped in the end."""
    words = [sys.executable, "-m", "emolab", *map(str, arguments), "--json"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env={**os.environ, **(env or {})}
    )
    try:
        yield ServeProcess(str(_first(process)["url"]), process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _first(process: subprocess.Popen[str]) -> dict[str, object]:
    """The JSON that the server prints when it is ready."""
    assert process.stdout is not None and process.stderr is not None
    until, lines = time.monotonic() + 60, b""
    while time.monotonic() < until:
        if select.select([process.stdout], [], [], 0.5)[0]:
            piece = os.read(process.stdout.fileno(), 65536)
            lines += piece
            if lines.endswith(b"}\n"):
                return json.loads(lines)  # type: ignore[no-any-return]
            if not piece:
                break
    process.kill()
    raise AssertionError(f"no server: {lines!r} {process.communicate(timeout=10)[1]}")


def add_champion(workspace: Workspace, letter: str) -> str:
    """A model like face48 under an id of 64 ``letter``s, which becomes the champion; its id."""
    model = twin(workspace, letter)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.set_alias(tx, "champion", model)
    return model


def face48_workspace(folder: Path) -> Workspace:
    """A workspace with the champion aaa..."""
    classes = json.loads((bundled.folder("face48") / "model.json").read_text())["classes"]  # type: ignore[operator]
    shutil.rmtree(folder, ignore_errors=True)
    workspace = Workspace.init(folder, classes=classes)
    add_champion(workspace, "a")
    return workspace


@dataclass
class Load:
    """Callers that ask on and on, each on one connection: what they were told, and by which models."""

    server: ServeProcess
    bodies: Sequence[bytes]
    statuses: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)

    @contextmanager
    def going(self, callers: int) -> Iterator[Load]:
        """``callers`` ask until the block ends, or the server says that it closes their connection."""
        stop, lock = threading.Event(), threading.Lock()
        threads = [threading.Thread(target=self._ask, args=(n, stop, lock)) for n in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)

    def _ask(self, number: int, stop: threading.Event, lock: threading.Lock) -> None:
        connection = self.server.connect()
        try:
            connection.connect()
            while not stop.is_set():
                connection.request("POST", "/v1/predict", self.bodies[number % len(self.bodies)])
                response = connection.getresponse()
                told = json.loads(response.read())
                with lock:
                    self.statuses[response.status] += 1
                    self.models[told.get("model", "")[:1]] += 1
                if response.getheader("connection") == "close":
                    return
        except (OSError, http.client.HTTPException) as error:
            with lock:
                self.dropped.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()
