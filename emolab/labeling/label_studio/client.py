"""The Label Studio client: every request emolab makes, as methods with frozen records in and out.

The SDK is used where it serves (projects, imports). Where it cannot (staged uploads, filtered lists, deletes in bulk),
and for small reads that are not worth the second it takes to import, the same HTTP client is used directly. Nothing
that writes is ever sent twice by itself: after an error with ``outcome_unknown`` the caller looks up what happened.
"""

from __future__ import annotations

import functools
import hashlib

from emolab.errors import MissingExtra
from emolab.labeling.label_studio.annotations import Annotations
from emolab.labeling.label_studio.exports import Exports
from emolab.labeling.label_studio.records import RemoteUser
from emolab.labeling.label_studio.response_shapes import JsonObject


def connect(url: str, token: str, *, timeout: float = 120.0) -> Studio:
    """Return a client for the server at ``url``; personal access and legacy tokens both work.

    Nothing is sent yet: call ``whoami`` to check URL and token. Raises ``ConfigError`` for a token that cannot work and
    ``MissingExtra`` without the ``label`` extra.
    """
    try:
        from emolab.labeling.label_studio.http import Http
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingExtra("httpx", "label") from None
    return Studio(Http(url, token, timeout=timeout))


class Studio(Annotations, Exports):
    """One server seen with one user's token; a context manager."""

    def whoami(self) -> RemoteUser:
        """Return the user of this token; the cheapest way to check URL and token."""
        raw = self.http.ask("/api/current-user/whoami").row()
        raw.text("email")
        return _user_of(raw)

    def users(self) -> dict[int, RemoteUser]:
        """Return all users of the organization by id; a list without anybody lacks the one who asks, and is refused."""
        answer = self.http.ask("/api/users/")
        found = {user.id: user for user in map(_user_of, answer.rows())}
        if not found:
            raise answer.wrong("the people of the organization", answer.value)
        return found

    def version(self) -> str:
        """Return the server's release, for example ``1.23.2``."""
        return self.http.ask("/api/version").row().text("release")

    @functools.cached_property
    def server_id(self) -> str:
        """A stable name of the server's database (16 hex digits): the same after a restart, a move or another port."""
        answer = self.http.ask("/api/organizations/")
        first = min(answer.rows(), key=lambda organization: organization.key("id"), default=None)
        if first is None:
            raise answer.wrong("the user's organization", answer.value)
        return hashlib.sha256(f"{first.key('id')} {first.text('created_at')}".encode()).hexdigest()[:16]


def _user_of(raw: JsonObject) -> RemoteUser:
    return RemoteUser(id=raw.key("id"), email=raw.maybe_text("email"), username=raw.maybe_text("username"))
