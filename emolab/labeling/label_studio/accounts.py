"""Accounts on a Label Studio server: the invitation, signing up, logging in, and one personal access token.

The API cannot set a password, so people are created the way people do it: through the sign-up form behind the
organization's invitation link. The form's session then makes the personal access token.
"""

from __future__ import annotations

import re
from types import TracebackType
from urllib.parse import quote

import httpx

from emolab.errors import ServerError
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.label_studio.http import LOOPBACK, clean_url
from emolab.labeling.label_studio.http_errors import check, explained, json_of
from emolab.labeling.label_studio.response_shapes import JsonResponse
from emolab.labeling.label_studio.tokens import TokenKind

_CSRF = re.compile(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"')
_FORM_ERROR = re.compile(r'<ul class="(?:field_errors|errorlist[^"]*)">(.*?)</ul>|<p class="error">(.*?)</p>', re.S)
_TAG = re.compile(r"<[^>]+>")


def invitation(studio: Studio, project: int | None = None) -> str:
    """Return the link with which anybody may sign up on this server.

    With ``project`` it leads on to that project, where "Label All Tasks" starts the work; people who are logged in go
    there at once. A link straight to the first task would be shorter, but Label Studio then serves tasks in the order
    of its table, past emolab's order and the number of people per sample.
    """
    link = studio.url + "/" + studio.http.ask("/api/invite").row().text("invite_url").lstrip("/")
    return link if project is None else f"{link}&next=" + quote(f"/projects/{project}/data", safe="")


def create_annotator(studio: Studio, email: str, password: str) -> str:
    """Return a personal access token of the annotator, signing them up first when they have no account yet.

    Safe to run again with the same password; the annotator's older token is revoked, because each person has only
    one and the server shows it only once. ``studio`` is any member's client: it fetches the invitation.
    """
    with Browser(studio.url) as browser:
        if not browser.log_in(email, password):
            browser.sign_up(invitation(studio), email, password)
        return browser.personal_token()


def personal_token(url: str, email: str, password: str) -> str | None:
    """Return a new personal access token of the person, or ``None`` when e-mail and password do not match."""
    with Browser(url) as browser:
        return browser.personal_token() if browser.log_in(email, password) else None


class Browser:
    """A session with cookies on one server: what a web browser does, without the pages; a context manager."""

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        self.url = clean_url(url)
        self._client = httpx.Client(
            base_url=self.url,
            timeout=timeout,
            trust_env=httpx.URL(self.url).host not in LOOPBACK,
            headers={"Connection": "close", "Referer": self.url},
        )

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def log_in(self, email: str, password: str) -> bool:
        """Log in and return whether e-mail and password matched."""
        page, problem = self._submit("/user/login/", email=email, password=password, persist_session="on")
        if page.is_redirect:
            return True
        if "match" in problem:
            return False
        raise ServerError(f"{self.url} refuses to log {email} in: {problem}", status=page.status_code)

    def sign_up(self, link: str, email: str, password: str) -> None:
        """Create an account through an invitation link; the session is logged in afterwards."""
        path = "/" + link.removeprefix(self.url).lstrip("/")
        page, problem = self._submit(path, email=email, password=password, allow_newsletters="false")
        if page.is_redirect:
            return
        if page.status_code == httpx.codes.FORBIDDEN:
            raise ServerError(
                f"The invitation link is not valid on {self.url} any more.",
                hint='Get a fresh one with "emolab studio invite".',
                status=page.status_code,
            )
        raise ServerError(f"{self.url} refuses to sign {email} up: {problem}", status=page.status_code)

    def personal_token(self) -> str:
        """Make a personal access token for the person who is logged in, revoking an older one first."""
        with explained(self.url, TokenKind.PERSONAL):
            try:
                rows = self._api("GET", "/api/token/").rows()
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.NOT_FOUND:
                    raise
                raise ServerError(
                    f"Label Studio at {self.url} has no personal access tokens: its release is too old.",
                    hint="Update it, or use it by its address and a legacy token (labeling.url, EMOLAB_STUDIO_TOKEN).",
                    status=error.response.status_code,
                ) from None
            for row in rows:
                self._api("POST", "/api/token/blacklist/", {"refresh": row.text("token")})
            return self._api("POST", "/api/token/").row().text("token")

    def _api(self, method: str, path: str, json: object = None) -> JsonResponse:
        headers = {"X-CSRFToken": self._client.cookies.get("csrftoken") or ""}
        response = self._client.request(method, path, json=json, headers=headers)
        check(response)
        return JsonResponse(json_of(response, self.url, write=method != "GET"), f"{method} {path}", self.url)

    def _submit(self, path: str, **fields: str) -> tuple[httpx.Response, str]:
        """Fill in the form at ``path``; returns the answer (a redirect: accepted) and the form's complaint."""
        with explained(self.url, TokenKind.PERSONAL):
            form = self._client.get(path)
            token = _CSRF.search(form.text)
            if token is None:
                raise ServerError(
                    f"{self.url}{path.split('?', maxsplit=1)[0]} shows no form (status {form.status_code})."
                )
            page = self._client.post(path, data={"csrfmiddlewaretoken": token[1], **fields})
        complaints = [" ".join(_TAG.sub(" ", a or b).split()) for a, b in _FORM_ERROR.findall(page.text)]
        return page, "; ".join(complaints) or page.reason_phrase
