"""Addresses among the settings: web hooks, mail servers, mail boxes. What is secret in them is in no message."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from emolab.errors import ConfigError
from emolab.safe_text import visible

#: How a mail server is spoken to: its port where none is named.
MAIL_PORTS = {"smtp": 587, "smtps": 465, "plain": 25}
_MAIL_HINT = (
    "Such as smtp://alerts@mail.example.org (STARTTLS), smtps://alerts@mail.example.org (TLS from the start), or "
    "plain://relay.example.org without a user and without encryption."
)
_BOX = re.compile(r"[^\s@<>(),;:\"\\\[\]]+@[^\s@<>(),;:\"\\\[\]]+")


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail is handed in, as smtp (STARTTLS), smtps (TLS) or plain; without a ``user`` nobody signs in."""

    scheme: str
    host: str
    port: int
    user: str = ""


def mail_server(text: str) -> MailServer:
    """The server that a setting such as ``smtp://user@host:587`` names.

    Raises :class:`ConfigError` without the text in it: somebody may have put a password there.
    """
    parts, port = _split(text, "alerts.smtp", _MAIL_HINT)
    if parts.scheme not in MAIL_PORTS:
        raise ConfigError("alerts.smtp begins with none of smtp://, smtps:// and plain://.", hint=_MAIL_HINT)
    if parts.password is not None:
        raise ConfigError(
            "alerts.smtp holds a password.", hint="Take it out, and put it into the environment: EMOLAB_SMTP_PASSWORD."
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("alerts.smtp has something behind the host and its port.", hint=_MAIL_HINT)
    user, host = parts.username or "", parts.hostname or ""
    if user and parts.scheme == "plain" and not is_loopback(host):
        raise ConfigError("alerts.smtp would send a password without encryption.", hint=_MAIL_HINT)
    return MailServer(scheme=parts.scheme, host=host, port=port or MAIL_PORTS[parts.scheme], user=unquote(user))


def check_webhook(url: str, name: str = "alerts.webhook") -> None:
    """Raise :class:`ConfigError`, without the address, for one that cannot be called."""
    hint = "Such as https://hooks.example.org/services/T0/B0/SECRET"
    parts, _ = _split(url, name, hint)
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"{name} begins with neither https:// nor http://.", hint=hint)
    if parts.fragment:
        raise ConfigError(f"{name} has a # in it, which no server would see.", hint=hint)
    if not f"{parts.path}{parts.query}".isascii():
        raise ConfigError(f"{name} has letters behind its host that no address can have.", hint="Write é as %C3%A9.")


def check_mail_box(text: str, name: str) -> None:
    """Raise :class:`ConfigError` for what is no address of a mail box, such as ``ann@example.org``."""
    if not text.isascii() or not _BOX.fullmatch(text):
        raise ConfigError(f'{name} has "{visible(text)}" in it; expected an address such as ann@example.org.')


def web_host(url: str) -> str:
    """What of a web hook's address may be shown: ``https://hooks.example.org``. The rest may be its secret."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by a name that nobody else can answer for."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(text: str, name: str, hint: str) -> tuple[SplitResult, int | None]:
    """The parts of an address, and its port; those of one without a host, or with blanks in it, are refused."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # what looks it up does so, and fails with an error of its own
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if not host or port == 0 or any(ch.isspace() or not ch.isprintable() for ch in text):
        raise ConfigError(f"{name} is no address.", hint=hint)
    return parts, port
