"""The one HTTP connection to Label Studio: tokens, errors in words, and no request sent twice by accident.

Both the SDK and the calls the SDK does not offer go through the same ``httpx`` client, so both get the same token
handling and the same errors. Only reads are ever repeated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import httpx

from emolab.errors import ConfigError, ServerError
from emolab.labeling.label_studio import tokens
from emolab.labeling.label_studio.http_errors import check, explained, json_of
from emolab.labeling.label_studio.response_shapes import JsonResponse
from emolab.labeling.label_studio.tokens import TokenKind

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
READ_ATTEMPTS = 3
_EARLY = 30.0  # seconds before its end at which an access token is replaced
_PASSING = frozenset({502, 503, 504})


def clean_url(url: str) -> str:
    """Return the base URL of a server as typed by a person: scheme and host, no trailing slash or page."""
    text = url.strip().rstrip("/")
    if not text.startswith(("http://", "https://")):
        raise ConfigError(
            f'"{url}" is not a URL of a Label Studio server.', hint='Write it like "http://localhost:8080".'
        )
    return text.split("/projects")[0].split("/user/")[0].split("/api")[0].rstrip("/")


class TokenAuth(httpx.Auth):
    """Puts the right ``Authorization`` header on every request.

    A legacy token goes as it is. A personal access token is exchanged for access tokens (five minutes each), before
    the old one ends and once more if the server says 401: a request refused for its token was not carried out, so
    sending that request again is safe.
    """

    requires_response_body = True

    def __init__(self, token: str, kind: TokenKind, url: str) -> None:
        self.kind = kind
        self._token = token
        self._url = url
        self._access = ""
        self._until = 0.0
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with a fresh token (see the class)."""
        if self.kind is TokenKind.LEGACY:
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        if time.time() > self._until - _EARLY:
            yield from self._refresh(request)
        used = self._access
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            if self._access == used:
                yield from self._refresh(request)
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _refresh(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield httpx.Request(
            "POST",
            f"{self._url}/api/token/refresh/",
            json={"refresh": self._token},
            extensions=request.extensions,  # carries the timeout
        )
        if response.status_code != httpx.codes.OK:
            raise httpx.HTTPStatusError("token refresh", request=response.request, response=response)
        got = JsonResponse(json_of(response, self._url), "GET a new access token (/api/token/refresh/)", self._url)
        access = got.row().text("access")
        with self._lock:
            self._access = access
            self._until = tokens.expiry(access) or time.time() + 240.0


class Http:
    """Raw requests to one server with one user's token."""

    def __init__(self, url: str, token: str, *, timeout: float = 120.0) -> None:
        self.url = clean_url(url)
        self.kind = tokens.usable(token, url=self.url)
        self.answered = 0  # how many answers came, of any status
        self.client = httpx.Client(
            base_url=self.url,
            auth=TokenAuth(token, self.kind, self.url),
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            trust_env=httpx.URL(self.url).host not in LOOPBACK,
            headers={"User-Agent": "emolab"},
            event_hooks={"response": [self._seen]},
        )

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    def authorization(self) -> str:
        """The header that lets a request in as this user for the next minutes: for a browser that opens pages.

        Raises ``ServerError`` as :meth:`call` does.
        """
        with explained(self.url, self.kind):
            response = self.client.get("/api/current-user/whoami")
            check(response)
            return str(response.request.headers["Authorization"])

    def _seen(self, response: httpx.Response) -> None:
        """Count the answer, and stop keeping connections alive where that is slow.

        Django's own server (the one ``label-studio start`` runs) writes headers and body in two packets, so a kept
        connection waits 40 ms for the client's delayed acknowledgement each time; a new connection costs 1 ms.
        """
        self.answered += 1
        if response.headers.get("Server", "").startswith("WSGIServer/"):
            self.client.headers["Connection"] = "close"

    def ask(self, path: str, **params: object) -> JsonResponse:
        """Return the answer to a read, to be looked at through its checks."""
        return JsonResponse(self.get(path, **params), f"GET {path}", self.url)

    def send(self, method: str, path: str, **options: Any) -> JsonResponse:
        """Send one write exactly once (see ``call``) and return its answer, to be looked at through its checks."""
        return JsonResponse(self.call(method, path, **options), f"{method} {path}", self.url)

    def get(self, path: str, **params: object) -> Any:
        """Return the JSON of a read; repeated a little when the connection or a proxy fails."""
        for attempt in range(READ_ATTEMPTS):
            try:
                return self.call("GET", path, params=params)
            except ServerError as error:
                last = attempt == READ_ATTEMPTS - 1
                if last or not (error.status in _PASSING or (error.status is None and error.outcome_unknown)):
                    raise
                time.sleep(0.2 * 4**attempt)
        raise AssertionError("unreachable")

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        files: Sequence[tuple[str, tuple[str, bytes, str]]] | None = None,
    ) -> Any:
        """Send one request exactly once and return its JSON (``None`` for an empty body).

        Raises ``ServerError``: ``outcome_unknown`` is true when the server may have carried it out although no answer
        came; ``retryable`` when the same request may succeed later.
        """
        query: Any = {k: v for k, v in (params or {}).items() if v is not None}
        body: Any = files
        with explained(self.url, self.kind):
            response = self.client.request(method, path, params=query, json=json, files=body)
            check(response)
            return json_of(response, self.url, write=method != "GET")
