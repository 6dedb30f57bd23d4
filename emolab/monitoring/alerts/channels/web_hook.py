"""A web hook: one POST with JSON. Its ``text`` is what Slack, Mattermost, Rocket.Chat and the like show.

The address may be a secret, so nothing but its host is ever shown, and a redirect is not followed: that would hand
what is sent, and in some servers' logs the address, to somebody else.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from emolab.addresses import check_webhook, web_host
from emolab.config import AlertsConfig
from emolab.errors import ServerError
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import Tell, body, subject
from emolab.monitoring.alerts.channels.attempts import TryLater, attempt
from emolab.safe_text import visible

ENVIRONMENT = "EMOLAB_ALERT_WEBHOOK"
#: Seconds for each read and write of one attempt.
TIMEOUT = 10.0
#: Characters of a server's answer that are shown.
SHOWN = 120
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


def connect(settings: AlertsConfig, _: Path) -> Tell | None:
    """Call ``$EMOLAB_ALERT_WEBHOOK`` or ``alerts.webhook``.

    Raises :class:`ConfigError` for an address that cannot be called. ``tell`` raises :class:`ServerError`.
    """
    given = os.environ.get(ENVIRONMENT, "").strip()
    url = given or settings.webhook
    if not url:
        return None
    check_webhook(url, f"${ENVIRONMENT}" if given else "alerts.webhook")

    def tell(alarms: Sequence[Alarm], project: str) -> str:
        content = message(alarms, project, form=settings.webhook_form)
        attempt(lambda: post(url, content, timeout=TIMEOUT))
        return ""

    return tell


def message(alarms: Sequence[Alarm], project: str, *, form: str) -> bytes:
    """The JSON that is sent: ``text`` for people, in which no name can call a channel or a person together; with the
    form ``full`` also ``version``, ``project`` and ``alarms`` with their figures."""
    words = f"{subject(alarms, project)}\n\n{body(alarms)}"
    plain: dict[str, object] = {"text": _unmarked(words)}
    if form == "full":
        plain |= {"version": 1, "project": project, "alarms": [alarm.to_dict() for alarm in alarms]}
    return json.dumps(plain).encode()


def post(url: str, content: bytes, *, timeout: float) -> None:
    """Send ``content`` once. Raises :class:`TryLater` where another attempt may help, else :class:`ServerError`."""
    host = web_host(url)
    headers = {"Content-Type": "application/json", "User-Agent": "emolab"}
    parts = urlsplit(url)
    if parts.username is not None:
        headers["Authorization"] = f"Basic {_signature(parts)}"
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(place, data=content, method="POST", headers=headers)  # noqa: S310 - checked before
    try:
        with _opener().open(request, timeout=timeout) as answer:
            answer.read(SHOWN)
    except urllib.error.HTTPError as error:
        raise _refused(error, url) from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise ServerError(f"{host}: its certificate is not trusted ({reason.verify_message}).") from None
        # an OSError's own words name no address; those of the http module may repeat what the server sent
        said = reason.strerror or str(reason) if isinstance(reason, OSError) else type(reason).__name__
        raise TryLater(f"{host} could not be reached: {_hidden(said, url)}.") from None


def _opener() -> urllib.request.OpenerDirector:
    """Speaks HTTP and HTTPS, through a proxy where the environment names one, and follows no redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _refused(error: urllib.error.HTTPError, url: str) -> ServerError:
    with error:
        try:
            said = error.read(4 * SHOWN).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            said = ""
    said = _hidden(visible(" ".join(said.split())), url)[:SHOWN]
    answer = f"{web_host(url)} answered {error.code}{f': {said}' if said else ''}"
    if 300 <= error.code < 400:
        hint = "Redirects are not followed. Name the address that it leads to."
        return ServerError(f"{web_host(url)} answered {error.code}, a redirect.", hint=hint, status=error.code)
    if error.code in _AGAIN:
        return TryLater(f"{answer}.", status=error.code, after=_seconds(error.headers.get("Retry-After")))
    return ServerError(f"{answer}.", status=error.code)


def _seconds(text: str | None) -> float | None:
    """What a server wants one to wait; a date is not read, as clocks differ."""
    return float(text) if text and text.isascii() and text.isdigit() else None


def _signature(parts: SplitResult) -> str:
    """The user and the password of an address as they are sent."""
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return base64.b64encode(pair.encode()).decode()


def _hidden(text: str, url: str) -> str:
    """``text`` without the secret parts of ``url``, as they stand there or as a server reads them: it may say what it
    was asked."""
    parts = urlsplit(url)
    found = [url, parts.path, parts.query, *parts.path.split("/"), *re.split("[&;=]", parts.query)]
    if parts.username is not None:
        found += [parts.username, parts.password or "", _signature(parts)]
    secrets = {secret for each in found for secret in (each, unquote(each), unquote_plus(each)) if len(secret) > 3}
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(re.escape(secret), "...", text, flags=re.IGNORECASE)
    return text


def _unmarked(text: str) -> str:
    """``text`` in which ``<!channel>`` and ``@channel`` are words."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
