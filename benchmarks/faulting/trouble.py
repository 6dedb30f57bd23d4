"""A loopback proxy that makes trouble for one machine's requests, as networks, front servers and busy databases do."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

#: What can happen to one request.
FAULTS = (
    "reset before",  # nothing is carried out, the connection is reset
    "reset after",  # carried out and committed, then reset
    "half request",
    "half answer",
    "502 before",
    "502 after",
    "twice",  # carried out two times in a row
    "later",  # answered, and carried out once more some time later
    "wrong shape",  # the answer is JSON of another shape
    "empty list",  # a listing comes back without its rows
)
#: When a command is killed: as its request arrives, after the server has carried it out, or after the answer.
KILLS = ("kill before", "kill after", "kill between")
SHAPES = (b"{}", b"[]", b"1", b'"x"', b"null", b'[{"id": "x"}]', b'{"results": 3, "tasks": {"a": 1}}')
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection", "te", "upgrade"}
_NEVER_LATER = re.compile(r"/api/token/")  # repeating these has no effect
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Plan:
    """The trouble of one command: ``what`` happens to its request number ``at`` (from 0).

    ``clock`` shifts the server's clock by so many seconds; ``None`` leaves the ``Date`` header out.
    """

    what: str
    at: int
    clock: float | None = 0.0
    done: bool = False


@dataclass
class Trouble:
    """A proxy before ``target`` that carries out one :class:`Plan` at a time; a context manager.

    ``happened`` counts faults by kind, ``requests`` those since the plan began. Requests that are carried out again
    later wait up to ``latest`` seconds; :meth:`settle` waits for all of them.
    """

    target: str
    rng: random.Random
    latest: float = 8.0
    happened: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    plan: Plan | None = None
    kill: Callable[[], None] | None = None

    def __enter__(self) -> Trouble:
        self._lock = threading.Lock()
        self._timers: list[threading.Timer] = []
        trouble = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Stay silent."""

            def handle_any(self) -> None:
                trouble._serve(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815 (names of the base class)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where the machine connects to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def begin(self, plan: Plan | None, kill: Callable[[], None] | None = None) -> None:
        """Start counting requests for the next command; ``kill`` ends its process."""
        with self._lock:
            self.plan, self.kill, self.requests = plan, kill, 0

    def settle(self) -> None:
        """Wait until every request that is to be carried out again later has been."""
        for timer in self._timers:
            timer.join()
        self._timers.clear()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        method, path = handler.command, handler.path
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        what, clock = self._next(method, path)
        if what in ("reset before", "kill before"):
            self._end(what)
            return _reset(handler)
        if what == "502 before":
            return self._answer(handler, 502, [], b"bad gateway", clock)
        if what == "half request":
            self._forward_half(method, path, body, headers)
            return _reset(handler)
        try:
            status, back, data = self._forward(method, path, body, headers)
            if what == "twice":
                self._forward(method, path, body, headers)
        except OSError:
            return _reset(handler)
        if what == "later":
            self._again_later(method, path, body, headers)
        elif what == "wrong shape":
            data = self.rng.choice(SHAPES)
        elif what == "empty list":
            data = _emptied(data)
        if what in ("reset after", "kill after"):
            self._end(what)
            return _reset(handler)
        if what == "502 after":
            return self._answer(handler, 502, [], b"bad gateway", clock)
        self._answer(handler, status, back, data, clock, half=what == "half answer")
        if what == "kill between":
            time.sleep(self.rng.uniform(0, 0.05))
            self._end(what)
        return None

    def _next(self, method: str, path: str) -> tuple[str | None, float | None]:
        """What happens to this request, and the shift of the clock."""
        with self._lock:
            plan, number = self.plan, self.requests
            self.requests += 1
            if plan is None:
                return None, 0.0
            if plan.done or number < plan.at or not _possible(plan.what, method, path):
                return None, plan.clock
            plan.done = True
            self.happened[plan.what] += 1
            return plan.what, plan.clock

    def _end(self, what: str) -> None:
        if what.startswith("kill") and self.kill is not None:
            self.kill()

    def _forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = self._connection()
        try:
            upstream.request(method, path, body=body, headers={**headers, "Connection": "close"})
            response = upstream.getresponse()
            kept = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP]
            return response.status, kept, response.read()
        finally:
            upstream.close()

    def _forward_half(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        upstream = self._connection()
        with contextlib.suppress(OSError):
            upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                upstream.putheader(name, value)
            upstream.endheaders(body[: len(body) // 2])
        upstream.close()

    def _again_later(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        def again() -> None:
            with contextlib.suppress(OSError):
                self._forward(method, path, body, headers)

        timer = threading.Timer(self.rng.uniform(0.1, self.latest), again)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.target)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def _answer(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: list[tuple[str, str]],
        data: bytes,
        clock: float | None,
        *,
        half: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):  # the client may be dead
            handler.send_response_only(status)
            for name, value in headers:
                if name.lower() != "date":
                    handler.send_header(name, value)
            if clock is not None:
                handler.send_header("Date", formatdate(time.time() + clock, usegmt=True))
            handler.send_header("Content-Length", str(len(data)))
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(data[: len(data) // 2] if half else data)
            handler.wfile.flush()
        handler.close_connection = True


def _possible(what: str, method: str, path: str) -> bool:
    """Whether this can happen to such a request: only listings can come back empty, and a token has no second use."""
    if what == "empty list":
        return method == "GET" and ("/api/tasks/" in path or "/download" in path or "/api/projects/?" in path)
    if what in ("later", "twice"):
        return method != "GET" and not _NEVER_LATER.search(path)
    return not _NEVER_LATER.search(path) or what.startswith("kill")


def _emptied(data: bytes) -> bytes:
    """The same listing without its rows; anything else as it is."""
    try:
        told: Any = json.loads(data)
    except ValueError:
        return data
    if isinstance(told, list):
        return b"[]"
    if isinstance(told, dict):
        rows = next((name for name in ("tasks", "results") if isinstance(told.get(name), list)), None)
        if rows is not None:
            zeros = {k: 0 for k, v in told.items() if isinstance(v, int)}
            return json.dumps({**told, **zeros, rows: [], **({"next": None} if "next" in told else {})}).encode()
    return data


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close the client's connection the hard way."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        handler.connection.shutdown(socket.SHUT_RDWR)
