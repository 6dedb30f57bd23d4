"""Around every answer: a request id, the headers that protect a browser, the metrics, and JSON for every failure."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emolab.serving.app.errors import RequestRefused, as_response
from emolab.serving.app.metrics import Metrics
from emolab.serving.service import Service

logger = logging.getLogger("emolab.serving")

#: For answers that say nothing else: a page of the server brings its own policy.
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_ID = re.compile(rb"[\w.-]{1,64}")


class Envelope:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, metrics: Metrics, service: Service) -> None:
        self.app, self.metrics, self.service = app, metrics, service
        self._start, self._count = secrets.token_hex(4).encode(), itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request with everything around it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        if not _ID.fullmatch(request_id):
            request_id = b"%s%08x" % (self._start, next(self._count))
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        began, status = time.perf_counter(), 0

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[Any] = list(message.get("headers", ()))
                there = {name for name, _ in headers}
                headers += [pair for pair in HEADERS if pair[0] not in there]
                headers.append((b"x-request-id", request_id))
                if not self.service.ready and b"connection" not in there:
                    headers.append((b"connection", b"close"))  # the server stops
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, enveloped)
        except Exception:
            logger.exception("request %s failed", request_id.decode())
            if status:
                raise
            told = RequestRefused(
                500, "internal", "The server failed.", f"Its log knows request {request_id.decode()}."
            )
            await as_response(told)(scope, receive, enveloped)
        finally:
            endpoint = scope.get("endpoint")
            endpoint = getattr(endpoint, "func", endpoint)  # of a partial
            self.metrics.request(getattr(endpoint, "__name__", "none"), status, time.perf_counter() - began)
