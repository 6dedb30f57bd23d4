"""Servers on this machine that hear what is sent to people: web hooks and mail, with and without encryption."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Hook:
    """A web hook: what it heard, and what it answers, one (status, headers, body) after the other; the last goes on."""

    url: str
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=lambda: [(200, {}, "ok")])
    heard: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self) -> tuple[int, dict[str, str], str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def hook(authority: trustme.CA | None = None, *, path: str = "/services/T0000/B0000/secret-token-1") -> Iterator[Hook]:
    """A web hook on this machine, with a certificate of ``authority`` where one is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.paths.append(self.path)
            found.headers.append(dict(self.headers))
            found.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, headers, body = found.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if authority is None else "https"
    found = Hook(f"{scheme}://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class MailRoom:
    """A mail server's side: what it took, from whom, and what it answers to each letter, one after the other."""

    def __init__(self, refused: Sequence[str] = ()) -> None:
        self.letters: list[Envelope] = []
        self.users: list[str] = []
        self.encrypted: list[bool] = []
        self.refused = refused
        self.answers: list[str] = []
        self.port = 0

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        if address in self.refused:
            return "550 no such box"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            self.letters.append(envelope)
            self.encrypted.append(session.ssl is not None)
        return answer

    def sign_in(self, server: SMTP, session: Session, envelope: Envelope, _: str, data: LoginPassword) -> AuthResult:
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"correct horse", handled=False)


class _FreePort(Controller):
    """Listens on whichever port is free, and knows which before anybody connects."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_room(
    authority: trustme.CA | None = None, *, implicit: bool = False, signed_in: bool = False, refused: Sequence[str] = ()
) -> Iterator[MailRoom]:
    """A mail server on this machine: with a certificate it demands STARTTLS, or begins with TLS (``implicit``)."""
    room = MailRoom(refused)
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    tls: dict[str, Any] = (
        {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": context is not None}
    )
    if signed_in:
        tls |= {"authenticator": room.sign_in, "auth_required": True, "auth_require_tls": not implicit}
    controller = _FreePort(room, hostname="127.0.0.1", port=0, ready_timeout=30, **tls)
    controller.start()
    try:
        room.port = controller.port
        yield room
    finally:
        controller.stop()
