"""Who may ask: the name asked for, the page that asks, the key, and how often. In front of every route.

A request for a name that is not this server's comes from a page that made its own name point here (DNS rebinding); one
with a foreign Origin comes from a page of another site. Numeric addresses cannot be rebound and are always allowed.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emolab.serving.app.errors import RequestRefused, as_response
from emolab.serving.service import Service

#: Paths that tell whether the server lives and nothing else: answered under every name, without a key.
OPEN = ("/health", "/ready")


class Guard:
    """Answers what may not pass; ``free`` are further paths that platforms ask without a key.

    What is ``by_session``, a path with all below it, knows by itself who asks, and needs no key.
    """

    def __init__(
        self, app: ASGIApp, service: Service, free: tuple[str, ...] = (), by_session: str | None = None
    ) -> None:
        self.app, self.service, self.by_session = app, service, by_session
        self.free = frozenset((*OPEN, *free))
        own = ("localhost", socket.gethostname(), service.config.host)
        self.names = {name.lower() for name in (*own, *service.config.hosts)}
        self.origins = {origin.lower().rstrip("/") for origin in service.config.origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with ``who`` in its state, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = headers_of(scope)
        origin = headers.get("origin", "").lower()
        try:
            if scope["path"] not in self.free:
                self._check(scope, headers, origin)
        except RequestRefused as error:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": error.kind})
            else:
                await as_response(error)(scope, receive, send)
            return
        if scope["type"] == "http" and origin and origin in self.origins:
            await self._across(scope, receive, send, headers, origin)
        else:
            await self.app(scope, receive, send)

    def _check(self, scope: Scope, headers: Mapping[str, str], origin: str) -> None:
        self._name(headers)
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            self._origin(headers, origin)
        if scope.get("method") == "OPTIONS" and origin in self.origins:
            return  # a browser asks whether it may, without the key
        client = scope.get("client")
        own = self.by_session is not None and under(scope["path"], self.by_session)
        who = (client[0] if client else "local") if own else self._key(headers, client)
        scope.setdefault("state", {})["who"] = who
        wait = self.service.rate.wait(who)
        if wait:
            raise RequestRefused(
                429,
                "too_often",
                f"More than {self.service.config.rate:g} requests per second.",
                "Send them more slowly.",
                headers={"retry-after": str(math.ceil(wait))},
            )

    def _name(self, headers: Mapping[str, str]) -> None:
        name = host_name(headers.get("host", ""))
        if name in self.names or "*" in self.names or is_address(name):
            return
        raise RequestRefused(
            421, "wrong_host", "This server is not known by that name.", "Allow it with: emolab serve --allow-host NAME"
        )

    def _origin(self, headers: Mapping[str, str], origin: str) -> None:
        if not origin or origin in self.origins or urlsplit(origin).netloc == headers.get("host", "").lower():
            return
        raise RequestRefused(
            403,
            "wrong_origin",
            "A page of another site may not call this server.",
            "Allow its address with: emolab serve --set serve.origins=https://...",
        )

    def _key(self, headers: Mapping[str, str], client: tuple[str, int] | None) -> str:
        given = key_in(headers)
        keys = self.service.keys
        who = None if given is None or keys is None else keys.who(given)
        if who is not None:
            return f"key {who}"
        if given is None and not self.service.demand_keys:
            return client[0] if client else "local"
        missing = given is None
        raise RequestRefused(
            401,
            "key_missing" if missing else "key_wrong",
            "A key is needed." if missing else "The key is not valid.",
            "Send it as a header, Authorization: Bearer KEY. The owner makes one with: emolab serve keys add NAME",
            headers={"www-authenticate": "Bearer"},
        )

    async def _across(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], origin: str
    ) -> None:
        """Tell the browser that the page at ``origin`` may read the answer (CORS)."""
        allow = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            more = {
                "access-control-allow-methods": "GET, POST",
                "access-control-allow-headers": "authorization, content-type, x-api-key",
                "access-control-max-age": "600",
            }
            response = Response(status_code=204, headers={**{k.decode(): v.decode() for k, v in allow}, **more})
            await response(scope, receive, send)
            return

        async def allowing(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *allow]}  # type: ignore[misc]
            await send(message)

        await self.app(scope, receive, allowing)  # type: ignore[arg-type]


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by their names in small letters; of several with one name the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key in Authorization (Bearer, or Basic with the key as password) or X-API-Key; ``None`` without one."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return headers.get("x-api-key")


def under(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it.

    >>> under("/app", "/app"), under("/app/api/me", "/app"), under("/apple", "/app")
    (True, True, False)
    """
    return path == folder or path.startswith(f"{folder}/")


def host_name(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_name("Localhost:8000"), host_name("[::1]:8000"), host_name("example.org")
    ('localhost', '::1', 'example.org')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def is_address(name: str) -> bool:
    """Whether ``name`` is a numeric address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
