"""The kinds of Label Studio token, told apart before one is sent.

A *personal access token* is a JWT that is never sent directly: it buys access tokens that live five minutes. A *legacy
token* is 40 hexadecimal digits and is off by default on servers since 1.20. People paste all sorts of other things, so
every other kind is explained instead of refused by a bare 401.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from enum import StrEnum
from pathlib import Path

from emolab.errors import ConfigError
from emolab.files import write_bytes

ACCOUNT_PAGE = "/user/account"
_LEGACY = re.compile(r"[0-9a-f]{40}\Z")
_WHERE = "Open {url}" + ACCOUNT_PAGE + ' in the browser and create one under "Personal Access Token"'


class TokenKind(StrEnum):
    """What a string claims to be; only the first two can be used."""

    PERSONAL = "personal access token"
    LEGACY = "legacy token"
    ACCESS = "access token"
    TRUNCATED = "token without its signature"
    UNKNOWN = "unknown"


def kind_of(token: str) -> TokenKind:
    """Tell which kind of token this looks like, without asking a server.

    Example: ``kind_of("0123456789abcdef0123456789abcdef01234567")`` is ``TokenKind.LEGACY``.
    """
    if _LEGACY.match(token):
        return TokenKind.LEGACY
    claims = _claims(token)
    if claims is None:
        return TokenKind.UNKNOWN
    if token.count(".") == 1:
        return TokenKind.TRUNCATED
    return {"refresh": TokenKind.PERSONAL, "access": TokenKind.ACCESS}.get(
        str(claims.get("token_type")), TokenKind.UNKNOWN
    )


def usable(token: str, *, url: str = "<server>", now: float | None = None) -> TokenKind:
    """Return the kind of a token that may be sent to ``url``; raise a ``ConfigError`` that explains any other.

    The message never repeats the token. ``now`` is in seconds since the epoch.
    """
    where = _WHERE.format(url=url) + "."
    if not token.strip():
        raise ConfigError("The Label Studio token is empty.", hint=where)
    if token.strip() != token or token[:1] in "\"'":
        raise ConfigError(
            "The Label Studio token has blanks or quotes around it.", hint="Copy the bare token, nothing else."
        )
    if token.lower().startswith(("token ", "bearer ")):
        word = token.split(maxsplit=1)[0]
        raise ConfigError(
            f'The Label Studio token starts with "{word} ".',
            hint="Give the bare token; emolab adds the right word itself.",
        )
    kind = kind_of(token)
    if kind is TokenKind.ACCESS:
        raise ConfigError(
            "This is an access token, which lives only five minutes; emolab needs the token it was made from.",
            hint=where,
        )
    if kind is TokenKind.TRUNCATED:
        raise ConfigError(
            "This token lacks its signature: Label Studio shows the whole token only once, when it is created.",
            hint=where + " Revoke the old one there first.",
        )
    if kind is TokenKind.UNKNOWN:
        raise ConfigError(
            f"This is no Label Studio token: {len(token)} characters, expected a personal access token "
            "(three parts joined by dots) or a legacy token (40 hexadecimal digits).",
            hint=where,
        )
    expires = expiry(token)
    if expires is not None and expires < (time.time() if now is None else now):
        day = time.strftime("%Y-%m-%d", time.gmtime(expires))
        raise ConfigError(f"This personal access token expired on {day}.", hint=where)
    return kind


def refused(kind: TokenKind, url: str, detail: str) -> tuple[str, str]:
    """Explain a 401 answer: ``(what happened, what to do next)``; ``detail`` is the server's own sentence."""
    where = _WHERE.format(url=url)
    if kind is TokenKind.LEGACY and "disabled" in detail:
        return (
            f"{url} knows this legacy token, but legacy tokens are switched off there.",
            f"{where} and use that one instead (or let an administrator switch legacy tokens on under Organization).",
        )
    if kind is TokenKind.LEGACY:
        return (
            f"{url} does not know this legacy token: it was revoked, or belongs to another server.",
            f"{where}, then set EMOLAB_STUDIO_TOKEN to it.",
        )
    if "blacklisted" in detail:
        return (
            f"This personal access token was revoked on {url}.",
            f"{where}, then set EMOLAB_STUDIO_TOKEN to the new one.",
        )
    if "User not found" in detail:
        return (
            f"The user of this personal access token no longer exists on {url}.",
            f"Log in as another user. {where}.",
        )
    return (
        f"{url} refuses this personal access token: it belongs to another server, or its user was removed.",
        f"{where}, then set EMOLAB_STUDIO_TOKEN to it.",
    )


def expiry(token: str) -> float | None:
    """Return when a JWT expires, in seconds since the epoch; ``None`` for any other token."""
    claims = _claims(token)
    exp = claims.get("exp") if claims else None
    return float(exp) if isinstance(exp, int | float) else None


def write(path: Path, token: str) -> None:
    """Keep a token in a file that only its owner can ever read, not even for a moment somebody else."""
    write_bytes(path, token.encode("ascii"), mode=0o600)


def _claims(token: str) -> dict[str, object] | None:
    """Read the payload of a JWT without checking its signature (only the server can)."""
    parts = token.split(".")
    if len(parts) not in {2, 3}:
        return None
    try:
        payload = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(payload))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None
