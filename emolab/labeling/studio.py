"""The Label Studio client: every request emolab makes, as methods with frozen records in and out.

The SDK is used where it serves (projects, imports). Where it cannot (staged uploads, filtered lists, deletes in bulk),
and for small reads that are not worth the second it takes to import, the same HTTP client is used directly. Nothing
that writes is ever sent twice by itself: after an error with ``outcome_unknown`` the caller looks up what happened.
"""

from __future__ import annotations

import functools
import hashlib

from emolab.errors import MissingExtra
from emolab.labeling.studio_answers import Answers
from emolab.labeling.studio_exports import Exports
from emolab.labeling.studio_records import RemoteUser
from emolab.labeling.studio_tasks import Tasks


def connect(url: str, token: str, *, timeout: float = 120.0) -> Studio:
    """Return a client for the server at ``url``; personal access and legacy tokens both work.

    Nothing is sent yet: call ``whoami`` to check URL and token. Raises ``ConfigError`` for a token that cannot work and
    ``MissingExtra`` without the ``label`` extra.
    """
    try:
        from emolab.labeling.studio_http import Http
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingExtra("httpx", "label") from None
    return Studio(Http(url, token, timeout=timeout))


class Studio(Tasks, Answers, Exports):
    """One server seen with one user's token; a context manager."""

    def whoami(self) -> RemoteUser:
        """Return the user of this token; the cheapest way to check URL and token."""
        user = self.http.get("/api/current-user/whoami")
        return RemoteUser(id=int(user["id"]), email=str(user["email"]), username=str(user.get("username") or ""))

    def users(self) -> dict[int, RemoteUser]:
        """Return all users of the organization by id."""
        return {
            int(u["id"]): RemoteUser(id=int(u["id"]), email=str(u["email"]), username=str(u.get("username") or ""))
            for u in self.http.get("/api/users/")
        }

    def version(self) -> str:
        """Return the server's release, for example ``1.23.2``."""
        return str(self.http.get("/api/version")["release"])

    @functools.cached_property
    def server_id(self) -> str:
        """A stable name of the server's database (16 hex digits): the same after a restart, a move or another port."""
        organizations = self.http.get("/api/organizations/")
        first = min(organizations, key=lambda o: int(o["id"]))
        return hashlib.sha256(f"{first['id']} {first['created_at']}".encode()).hexdigest()[:16]
