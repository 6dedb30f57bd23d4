"""HTTP/1.1 as uvicorn speaks it, with what it leaves open: headers that never end, readers that never read, and too
many connections.

A request whose headers do not come in time is refused with 408; what is no HTTP, or has headers that are too long, with
400. Above the allowed number of connections, requests on new ones are refused with 503; at twice the number, new
connections are closed. Whoever takes nothing of an answer in time loses the connection; otherwise a few callers who ask
and never read would hold their places for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from emolab.serving.app.errors import CLOSE, JSONAnswer, RequestRefused, as_response, overloaded
from emolab.serving.capacity import SOONEST, Overloaded


def protocol(*, connections: int, header_seconds: float, read_seconds: float) -> type[H11Protocol]:
    """The protocol with these limits: connections at once, seconds for headers, and for a reader to go on."""
    limits = {"most": connections, "header_seconds": header_seconds, "read_seconds": read_seconds}
    return type("LimitedProtocol", (_Limited,), limits)


class _Limited(H11Protocol):
    most: int
    header_seconds: float
    read_seconds: float
    _timer: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None
    _taken = 0  # times that answers were ended, or that a reader caught up with one

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

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._disarm()
        elif self.conn.trailing_data[0]:  # the first bytes of a request's headers
            self._arm()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._disarm()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        self._refuse(RequestRefused(400, "malformed", msg, headers=CLOSE))

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
        message = f"The headers did not come within {self.header_seconds:g} s."
        self._refuse(RequestRefused(408, "slow_headers", message, headers=CLOSE))

    def _refuse(self, error: RequestRefused) -> None:
        if self.transport.is_closing():
            return
        response = as_response(error)
        assert isinstance(response, JSONAnswer)  # noqa: S101
        events: tuple[Any, ...] = (
            h11.Response(status_code=error.status, headers=response.raw_headers),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        )
        try:
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # an answer is under way already
            pass
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
