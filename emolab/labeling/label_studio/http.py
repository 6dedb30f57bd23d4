"""The one HTTP connection to Label Studio: tokens, errors in words, and no request sent twice by accident.

Both the SDK and the calls the SDK does not offer go through the same ``httpx`` client, so both get the same token
handling and the same errors. Only reads are ever repeated.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import httpx

from emolab.errors import ConfigError, ServerError
from emolab.labeling.label_studio import tokens
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


def check(response: httpx.Response) -> None:
    """Raise ``httpx.HTTPStatusError`` unless the answer is a success (a redirect is none: it would drop the body)."""
    if not response.is_success:
        raise httpx.HTTPStatusError(f"{response.status_code}", request=response.request, response=response)


@contextlib.contextmanager
def explained(url: str, kind: TokenKind) -> Iterator[None]:
    """Turn what ``httpx`` raises inside the block into a ``ServerError`` that says what to do; no token in it."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise status_error(url, kind, error.response.status_code, error.response) from None
    except httpx.ConnectTimeout:
        raise ServerError(
            f"No answer from Label Studio at {url}.", hint="Check the URL and the network.", retryable=True
        ) from None
    except httpx.ConnectError as error:
        raise ServerError(
            f"Cannot reach Label Studio at {url} ({_reason(error)}).",
            hint='Is it up? Run "emolab studio up", or check labeling.url in emolab.toml.',
            retryable=True,
        ) from None
    except httpx.PoolTimeout:
        raise ServerError(f"Too many requests to {url} at once.", retryable=True) from None
    except httpx.TimeoutException:
        raise ServerError(
            f"Label Studio at {url} did not answer in time.",
            hint="It may still be working on it; run the command again, nothing is sent twice.",
            retryable=True,
            outcome_unknown=True,
        ) from None
    except httpx.RequestError as error:  # also an answer that cannot be unpacked
        raise ServerError(
            f"The connection to Label Studio at {url} broke ({_reason(error)}).",
            hint="Run the command again, nothing is sent twice.",
            retryable=True,
            outcome_unknown=True,
        ) from None


def status_error(url: str, kind: TokenKind, status: int, body: object) -> ServerError:
    """Return the error for an HTTP status that is not a success; ``body`` is the response or its parsed JSON."""
    detail = _detail(body)
    if status == 500 and "User matching query does not exist" in detail:  # how 1.23 refuses the token of a deleted user
        status, detail = 401, "User not found"
    if status == httpx.codes.UNAUTHORIZED:
        message, hint = tokens.refused(kind, url, detail)
        return ServerError(message, hint=hint, status=status)
    if status == httpx.codes.FORBIDDEN:
        return ServerError(
            f"{url} does not allow this user to do that: {detail}",
            hint="Use the token of a user who may, for example the administrator's.",
            status=status,
        )
    if 300 <= status < 400:
        target = body.headers.get("Location", "elsewhere") if isinstance(body, httpx.Response) else "elsewhere"
        return ServerError(
            f"{url} redirects to {target}.", hint="Set labeling.url to the address it redirects to.", status=status
        )
    if status >= 500:
        return ServerError(
            f"Label Studio at {url} failed with {status}: {detail}",
            hint="Run the command again; if it stays, look at the server's log.",
            status=status,
            retryable=True,
            outcome_unknown=True,
        )
    return ServerError(
        f"Label Studio at {url} answered {status}: {detail}", status=status, retryable=status in {408, 409, 429}
    )


def json_of(response: httpx.Response, url: str, *, write: bool = False) -> Any:
    """Return the JSON of an answer, ``None`` for an empty one; raise ``ServerError`` when it is something else."""
    if not response.content:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):  # the second for lists within lists within lists
        raise no_data(url, response.status_code, write=write) from None


def no_data(url: str, status: int, *, write: bool) -> ServerError:
    """Return the error for an answer that is no JSON; after a write its outcome is unknown."""
    return ServerError(
        f"{url} answered with a page, not with data: no Label Studio, or a login page stands before it.",
        hint="Set labeling.url to the base address, for example http://localhost:8080.",
        status=status,
        outcome_unknown=write,
    )


def _detail(body: object) -> str:
    """Return the server's own words, shortened; never more than 400 characters."""
    if isinstance(body, httpx.Response):
        phrase = body.reason_phrase
        try:
            body = body.json()
        except ValueError:
            body = phrase
    if isinstance(body, Mapping):
        detail, wrong = str(body.get("detail") or ""), body.get("validation_errors")
        if isinstance(wrong, Mapping):
            fields = (f"{k}: {', '.join(map(str, v)) if isinstance(v, list) else v}" for k, v in wrong.items())
            detail = f"{detail}: {'; '.join(fields)}".removeprefix(": ")
        body = detail or {k: v for k, v in body.items() if k not in {"id", "version"}}
    text = " ".join(str(body).split())
    return text if len(text) <= 400 else text[:397] + "..."


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.lower() if text else type(error).__name__
