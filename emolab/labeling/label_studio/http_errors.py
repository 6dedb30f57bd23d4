"""What goes wrong on the way to Label Studio, in words: statuses, broken connections, and pages in place of data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from emolab.errors import ServerError
from emolab.labeling.label_studio import tokens
from emolab.labeling.label_studio.tokens import TokenKind


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
