"""A small HTTP proxy on loopback that breaks requests on demand, to test against a real server behind it."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

Action = Literal[
    "drop_answer",
    "drop_request",
    "cut_request",
    "cut_answer",
    "502",
    "502_after",
    "delay",
    "call",
    "rewrite",
    "again",
    "say",
]
Headers = list[tuple[str, str]]
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection", "te", "upgrade"}


@dataclass
class Fault:
    """What to do with requests whose ``METHOD path`` matches ``pattern``.

    ``drop_answer``: carried out, but the connection closes without an answer. ``drop_request``: closed at once, nothing
    forwarded. ``cut_request``: half of the body is forwarded, then both sides close. ``cut_answer``: half of the answer
    arrives. ``502``: refused without forwarding; ``502_after``: carried out, then 502. ``delay``: forwarded after
    ``seconds``. ``call``: runs ``action_on`` before forwarding. ``rewrite``: ``change`` makes another answer of it.
    ``again``: carried out, and once more for every :meth:`Proxy.replay`. ``say``: carried out,
    answered with ``body``. ``times`` are hit, after ``skip`` went through.
    """

    pattern: str
    action: Action
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    body: bytes = b""
    action_on: Callable[[], None] | None = None
    change: Callable[[Headers, bytes], tuple[Headers, bytes]] | None = None
    hits: int = 0

    def takes(self, line: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.times <= 0 or not re.search(self.pattern, line):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        self.hits += 1
        return True


@dataclass
class Proxy:
    """A proxy for the server at ``target``; a context manager. ``seen`` lists every request line that came."""

    target: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    kept: list[Callable[[], object]] = field(default_factory=list)

    def __enter__(self) -> Proxy:
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Stay silent."""

            def handle_any(self) -> None:
                proxy.serve(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fault(self, pattern: str, action: Action, **options: object) -> Fault:
        """Add a fault and return it."""
        made = Fault(pattern, action, **options)  # type: ignore[arg-type]
        self.faults.append(made)
        return made

    def replay(self) -> None:
        """Carry out every request hit by ``again`` once more, as a server does long after the client is gone."""
        for send in self.kept:
            send()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Handle one request of a client."""
        line = f"{handler.command} {handler.path}"
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self._lock:
            self.seen.append(line)
            hit = next((fault for fault in self.faults if fault.takes(line)), None)
        action = hit.action if hit else None
        if hit is not None and action == "delay":
            time.sleep(hit.seconds)
        if hit is not None and hit.action_on is not None:
            hit.action_on()
        if action == "drop_request":
            return _close(handler)
        if action == "502":
            return _answer(handler, 502, [], b"bad gateway")
        if action == "cut_request":
            self._forward_half(handler, body)
            return _close(handler)
        try:
            status, headers, data = self._forward(handler, body)
        except OSError:
            return _close(handler)
        if action == "again":
            line_, headers_ = (handler.command, handler.path), _headers(handler)
            self.kept.append(lambda: self._send(*line_, body, headers_))
        if hit is not None and hit.change is not None:
            headers, data = hit.change(headers, data)
        if action == "drop_answer":
            return _close(handler)
        if action == "502_after":
            return _answer(handler, 502, [], b"bad gateway")
        if hit is not None and action == "say":
            return _answer(handler, 200, [("Content-Type", "application/json")], hit.body)
        return _answer(handler, status, headers, data, half=action == "cut_answer")

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.target)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Headers, bytes]:
        return self._send(handler.command, handler.path, body, _headers(handler))

    def _send(self, method: str, path: str, body: bytes, sent: dict[str, str]) -> tuple[int, Headers, bytes]:
        upstream = self._connection()
        try:
            upstream.request(method, path, body=body, headers=sent)
            response = upstream.getresponse()
            headers = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP]
            return response.status, headers, response.read()
        finally:
            upstream.close()

    def _forward_half(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        upstream = self._connection()
        upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**_headers(handler), "Content-Length": str(len(body))}.items():
            upstream.putheader(name, value)
        upstream.endheaders(body[: len(body) // 2])
        upstream.close()


def _headers(handler: BaseHTTPRequestHandler) -> dict[str, str]:
    kept = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
    return {**kept, "Connection": "close"}


def _answer(
    handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], data: bytes, *, half: bool = False
) -> None:
    with contextlib.suppress(OSError):  # the client may be gone, as a killed one is
        handler.send_response_only(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2] if half else data)
        handler.wfile.flush()
    _close(handler)


def _close(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with contextlib.suppress(OSError):  # closed already
        handler.connection.shutdown(socket.SHUT_RDWR)
