"""Who is it: a personal link becomes a session, and every request asks again whether its person may still come.

The link's token stands behind a # of the address, which browsers keep to themselves. The page posts it to
``/app/session`` and gets a cookie with a random session id. Sessions live in memory: a restart ends them, and a page
that still has its token enters again by itself.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.loop.operate.serve_keys import FOLDER
from emolab.loop.operate.serve_people import people_file
from emolab.serving.app.bodies import json_object, read_body
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.audit import AuditLog
from emolab.serving.keys import digest_of
from emolab.serving.people import OWNER, PREFIX, PeopleFile, Person
from emolab.workspace import Workspace

#: Below this path everything belongs to the app.
APP = "/app"
#: Sessions that are remembered, and bytes of a body that is JSON.
MOST_SESSIONS, MOST_BYTES = 10_000, 64 << 10
_LONG = "9999-12-31T00:00:00+00:00"


@dataclass
class Workbench:
    """What all routes of the app share: the workspace, its people, and the log of who changed what."""

    workspace: Workspace
    people: PeopleFile
    audit: AuditLog
    _owner: str = ""
    _sessions: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, workspace: Workspace) -> Workbench:
        """The app's side of a workspace. Close it."""
        log = AuditLog(workspace.state / FOLDER, name="app")
        return cls(workspace, people_file(workspace), log)

    def new_owner(self) -> str:
        """A token for the owner, valid until this process ends; shown once."""
        token = PREFIX + secrets.token_urlsafe(32)
        self._owner = digest_of(token)
        return token

    def enter(self, token: str) -> tuple[str, Person]:
        """A new session for whoever has ``token``. Raises :class:`RequestRefused` for a link that is none, or over."""
        digest = digest_of(token)
        person = self._current(digest)
        if person is None:
            raise RequestRefused(
                403, "link_unknown", "This link is not valid.", "It is incomplete, or it was taken back."
            )
        _check_time(person)
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[session] = digest
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return session, person

    def leave(self, session: str | None) -> None:
        """End a session; nothing where there is none."""
        with self._lock:
            self._sessions.pop(session or "", None)

    def person(self, session: str | None, role: str = "annotator") -> Person:
        """Who has this ``session`` and may do what ``role`` may, as of now.

        Raises :class:`RequestRefused`: no session, a link that was taken back or is over, or a lesser role.
        """
        with self._lock:
            digest = self._sessions.get(session or "")
        if digest is None:
            raise RequestRefused(401, "session_missing", "Nobody has entered here.", "Open your personal link.")
        person = self._current(digest)
        if person is None:
            raise RequestRefused(403, "link_revoked", "This link was taken back.", "Ask the owner for a new one.")
        _check_time(person)
        if not person.may(role):
            raise RequestRefused(403, "not_allowed", f"This page is for people of the role {role}.")
        return person

    def note(self, person: Person, what: str, about: Mapping[str, object]) -> None:
        """Write down that ``person`` did ``what``; ``about`` names samples or rounds, never pixels."""
        self.audit.write({"person": person.name, "role": person.role, "did": what, **about})

    def close(self) -> None:
        """Close the log."""
        self.audit.close()

    def _current(self, digest: str) -> Person | None:
        if self._owner and hmac.compare_digest(self._owner, digest):
            return Person(OWNER, "owner", digest, created_at="", expires_at=_LONG)
        return self.people.of_digest(digest)


def _check_time(person: Person) -> None:
    if person.expired():
        raise RequestRefused(403, "link_expired", "The time of this link is over.", "Ask the owner for a new one.")


#: Takes the request, the :class:`Workbench`, the person, and by name whatever its route was made with.
Handler = Callable[..., Awaitable[Response]]


def allowed(role: str) -> Callable[[Handler], Callable[..., Awaitable[Response]]]:
    """Make a route of ``handler``, which is called only with a person who may do what ``role`` may.

    The route takes ``bench``, the :class:`Workbench`, by :func:`functools.partial`.
    """

    def wrap(handler: Handler) -> Callable[..., Awaitable[Response]]:
        @functools.wraps(handler)
        async def asked(request: Request, *, bench: Workbench, **more: Any) -> Response:
            own_page(request)
            person = bench.person(request.cookies.get(cookie_name(request)), role)
            return await handler(request, bench, person, **more)

        return asked

    return wrap


def routes(bench: Workbench) -> list[Route]:
    """Entering and leaving."""
    return [
        Route(f"{APP}/session", functools.partial(enter, bench=bench), methods=["POST"]),
        Route(f"{APP}/session", functools.partial(leave, bench=bench), methods=["DELETE"]),
    ]


async def enter(request: Request, *, bench: Workbench) -> Response:
    """Change the token of a personal link into a session, whose id is a cookie."""
    own_page(request)
    token = (await json_body(request)).get("token")
    if not isinstance(token, str):
        raise RequestRefused(422, "wrong_form", 'There is no text "token" in the JSON.')
    session, person = await asyncio.to_thread(bench.enter, token)
    answer = JSONAnswer({"name": person.name, "role": person.role})
    answer.set_cookie(
        cookie_name(request),
        session,
        path=APP,
        httponly=True,
        samesite="strict",
        secure=request.headers.get("origin", str(request.url)).startswith("https:"),
    )
    return answer


async def leave(request: Request, *, bench: Workbench) -> Response:
    """End the session."""
    own_page(request)
    bench.leave(request.cookies.get(cookie_name(request)))
    answer = JSONAnswer({"left": True})
    answer.delete_cookie(cookie_name(request), path=APP)
    return answer


def cookie_name(request: Request) -> str:
    """The session's cookie; servers on several ports of a machine would share one name."""
    return f"emolab_app_{request.url.port or 0}"


def own_page(request: Request) -> None:
    """Raise :class:`RequestRefused` for what a page of another site sends, whatever ``serve.origins`` allows others."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise RequestRefused(403, "wrong_origin", "A page of another site may not call the app.")


async def json_body(request: Request) -> Mapping[str, Any]:
    """The JSON object in the body. Raises :class:`RequestRefused` for another type, form or size."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(415, "unknown_type", "The body is not called application/json.")
    config = replace(request.app.state.service.config, max_bytes=MOST_BYTES)
    body = await read_body(request, config, lambda _size: None)
    return json_object(body)
