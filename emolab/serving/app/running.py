"""The application in a process: an address, signals, and an end that leaves no request without its answer."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn
from starlette.routing import BaseRoute

from emolab.errors import ConfigError
from emolab.serving.app.application import create
from emolab.serving.app.protocol import protocol
from emolab.serving.pauses import short_pauses
from emolab.serving.service import Service

#: Connections that the system holds before they are accepted.
BACKLOG = 2048
#: After SIGTERM, seconds in which new requests are still answered, each as the last one of its connection: whoever
#: sent one before it heard of the end gets an answer.
GRACE = 0.5
_KEEP_ALIVE = 30
_HEADER_SECONDS = 10.0


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to ``host`` and ``port`` (0: any free one), which takes no connections yet.

    Raises :class:`ConfigError` where that is not possible.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        family, kind, number, _, address = found
        # With the protocol's number: asyncio turns Nagle's algorithm off for TCP only, and an answer would wait 40 ms.
        bound = socket.socket(family, kind, number or socket.IPPROTO_TCP)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"{host}, port {port}, cannot be listened on: {reason}.", hint="Choose another one: --port PORT."
        ) from error
    return bound


def run(
    service: Service,
    bound: socket.socket,
    *,
    more: Sequence[BaseRoute] = (),
    by_session: str | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve on the ``bound`` socket until SIGTERM or Ctrl-C; ``ready`` is called when requests are taken.

    ``more`` routes and ``by_session`` are those of :func:`emolab.serving.app.application.create`.

    SIGHUP looks at once for a new champion. Requests under way are answered before the end.
    """
    # on sizes and damaged tags; what matters is in the answer
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it logs each request that is no HTTP
    settings = service.config
    config = uvicorn.Config(
        create(service, more=more, by_session=by_session),
        http=protocol(
            connections=settings.connections,
            header_seconds=min(_HEADER_SECONDS, settings.upload_timeout),
            read_seconds=settings.timeout,
        ),
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # X-Forwarded-For is what anybody writes: the audit log has the address that there is
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.timeout) + 1,
        backlog=BACKLOG,
    )
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM,)}
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None:
        before[hang_up] = signal.signal(hang_up, lambda *_: service.reload())
    bound.listen(BACKLOG)
    try:
        with short_pauses():
            _Server(config, service, ready).run(sockets=[bound])
    finally:
        service.close()
        for number, handler in before.items():
            with suppress(TypeError):  # None: it was not set from Python
                signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Uvicorn's server, which says when it begins, and goes on for a moment when it is to end."""

    def __init__(self, config: uvicorn.Config, service: Service, began: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._began = service, began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._service.ready = True
            self._began()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.ready = False
        await asyncio.sleep(GRACE)
        await super().shutdown(sockets)
