"""HTTP/1.1 as uvicorn speaks it by httptools, with what both leave open: headers that never end, readers that never
read, and too many connections.

A request whose headers do not come in time is refused with 408; what is no HTTP, names no host or several, or has
headers that are too long, with 400. Above the allowed number of connections, requests on new ones are refused with 503;
at twice the number, new connections are closed. Whoever takes nothing of an answer in time loses the connection;
otherwise a few callers who ask and never read would hold their places for ever.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emolab.serving.app.errors import CLOSE, JSONAnswer, RequestRefused, as_response, overloaded
from emolab.serving.capacity import SOONEST, Overloaded

#: Bytes of a request line with its headers, and of whatever else comes without a byte of a body.
MOST_HEAD = 64 << 10
NO_UPGRADE = RequestRefused(
    400,
    "upgrade",
    "This server speaks HTTP/1.1 and changes to no other protocol.",
    "Send it without the header Upgrade; curl does with --http1.1.",
    headers=CLOSE,
)


def protocol(*, connections: int, header_seconds: float, read_seconds: float) -> type[HttpToolsProtocol]:
    """The protocol with these limits: connections at once, seconds for headers, and for a reader to go on."""
    limits = {"most": connections, "header_seconds": header_seconds, "read_seconds": read_seconds}
    return type("LimitedProtocol", (_Limited,), limits)


class _Limited(HttpToolsProtocol):
    most: int
    header_seconds: float
    read_seconds: float
    _timer: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None
    _taken = 0  # times that answers were ended, or that a reader caught up with one
    _in_head = False  # whether a request's headers come
    _useless = 0  # bytes since a request's headers ended, or its body went on

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > 2 * self.most:
            transport.abort()
            return
        if len(self.connections) > self.most:
            self.app = _busy
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._reader is not None:
            self._reader.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken += 1

    def on_response_complete(self) -> None:
        self._taken += 1
        super().on_response_complete()
        self._expect_reading()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._useless += len(data)
        super().data_received(data)
        if self._useless > MOST_HEAD:
            self.send_400_response("The headers are too long.")
        elif self.timeout_keep_alive_task is None and not self._busy_now():
            self._arm()  # neither a request nor the wait for one: whatever this was, it does not keep the connection

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._arm()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # and not in the trailers of a chunked body, which nobody reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._useless = False, 0
        self._disarm()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        hosts = sum(name == b"host" for name, _ in self.headers)
        if size > MOST_HEAD or hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise ValueError("headers that no request has")  # which the parser turns into a refusal
        if self.parser.should_upgrade() and not self._should_upgrade() and self._has_body():
            self._refuse(NO_UPGRADE)  # the parser would leave the body out
            raise ValueError("a protocol that is not spoken here")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._useless = 0
        super().on_body(body)

    def handle_websocket_upgrade(self) -> None:
        self._disarm()
        super().handle_websocket_upgrade()

    # -- who is refused ------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        self._refuse(RequestRefused(400, "malformed", msg, headers=CLOSE))

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _busy_now(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect_reading(self) -> None:
        """End the connection where nobody reads on in time; nothing to do once all is on its way."""
        if self._reader is None and self.transport.get_write_buffer_size():
            self._reader = self.loop.call_later(self.read_seconds, self._not_read, self._taken)

    def _not_read(self, taken: int) -> None:
        self._reader = None
        if taken == self._taken and self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._expect_reading()

    def _too_slow(self) -> None:
        self._timer = None
        if self._busy_now():  # the headers of the next request, behind one that is being answered
            self._arm()
            return
        message = f"The headers did not come within {self.header_seconds:g} s."
        self._refuse(RequestRefused(408, "slow_headers", message, headers=CLOSE))

    def _refuse(self, error: RequestRefused) -> None:
        self._disarm()
        if self.transport.is_closing():
            return
        if not (self._busy_now() and self.cycle.response_started):  # else an answer is under way already
            response = as_response(error)
            assert isinstance(response, JSONAnswer)  # noqa: S101
            head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()
            lines = [head, *(b"%s: %s" % pair for pair in response.raw_headers), b"", bytes(response.body)]
            self.transport.write(b"\r\n".join(lines))
        self.transport.close()
        self._expect_reading()


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers instead of the application on connections that are too many."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1013})
        return
    error = overloaded(Overloaded(SOONEST))
    error.headers.update(CLOSE)
    await as_response(error)(scope, receive, send)
