"""What a refused request gets: a status, and JSON that says what happened and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from emolab.serving.capacity import Overloaded

#: The body ends with the connection: what was not read of it is not read any more.
CLOSE = {"connection": "close"}


class RequestRefused(Exception):
    """A request that cannot be answered; ``kind`` is for programs, ``message`` and ``hint`` are for people."""

    def __init__(
        self, status: int, kind: str, message: str, hint: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.hint = status, kind, message, hint
        self.headers = dict(headers or {})


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class JSONAnswer(Response):
    """JSON without spaces, in UTF-8."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """``content`` as bytes. NaN, which JSON has no word for, is a bug and raises :class:`ValueError`."""
        return _JSON.encode(content).encode("utf-8", "backslashreplace")


def as_response(error: RequestRefused) -> Response:
    """The response that says ``error``."""
    told = {"kind": error.kind, "message": error.message, "hint": error.hint}
    return JSONAnswer({"error": told}, error.status, headers=error.headers)


def overloaded(error: Overloaded) -> RequestRefused:
    """What a caller is told for whom there is no room."""
    return RequestRefused(
        503,
        "overloaded",
        "The server has as much work as it can take.",
        f"Send it again in {error.retry_after} s.",
        headers={"retry-after": str(error.retry_after)},
    )
