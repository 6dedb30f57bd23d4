"""Tokens: told apart before one is sent, and every wrong one explained."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from emolab.errors import ConfigError
from emolab.labeling.label_studio import tokens
from emolab.labeling.label_studio.tokens import TokenKind

LEGACY = "0123456789abcdef0123456789abcdef01234567"
URL = "http://studio.example"


def jwt(signature: str = "sig", **claims: object) -> str:
    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    whole = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{whole}.{signature}" if signature else whole


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (LEGACY, TokenKind.LEGACY),
        (LEGACY.upper(), TokenKind.UNKNOWN),
        (LEGACY[:-1], TokenKind.UNKNOWN),
        (jwt(token_type="refresh", exp=9e9), TokenKind.PERSONAL),
        (jwt(token_type="access", exp=9e9), TokenKind.ACCESS),
        (jwt("", token_type="refresh", exp=9e9), TokenKind.TRUNCATED),
        (jwt(token_type="something", exp=9e9), TokenKind.UNKNOWN),
        ("a.b.c", TokenKind.UNKNOWN),
        ("1.2.3", TokenKind.UNKNOWN),
        ("password", TokenKind.UNKNOWN),
        ("", TokenKind.UNKNOWN),
    ],
)
def test_the_kind_of_a_token_is_seen_without_a_server(token: str, kind: TokenKind) -> None:
    assert tokens.kind_of(token) is kind


@pytest.mark.parametrize(
    ("token", "message", "hint"),
    [
        ("", "The Label Studio token is empty.", f"Open {URL}/user/account"),
        (f" {LEGACY}\n", "has blanks or quotes around it", "Copy the bare token"),
        (f'"{LEGACY}"', "has blanks or quotes around it", "Copy the bare token"),
        (f"Token {LEGACY}", 'starts with "Token "', "emolab adds the right word itself"),
        (f"Bearer {jwt(token_type='access')}", 'starts with "Bearer "', "emolab adds the right word itself"),
        (jwt(token_type="access", exp=9e9), "lives only five minutes", "Personal Access Token"),
        (jwt("", token_type="refresh", exp=9e9), "shows the whole token only once", "Revoke the old one there first"),
        (jwt(token_type="refresh", exp=1_000_000_000), "expired on 2001-09-09", "Personal Access Token"),
        ("hunter2-hunter2", "15 characters, expected a personal access token", f"{URL}/user/account"),
    ],
)
def test_a_token_that_cannot_work_is_explained_and_never_repeated(token: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tokens.usable(token, url=URL)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    for secret in (LEGACY, "hunter2", "eyJ"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "detail", "message", "hint"),
    [
        (
            TokenKind.LEGACY,
            "legacy token authentication has been disabled for this organization",
            "legacy tokens are switched off there",
            "let an administrator switch legacy tokens on",
        ),
        (TokenKind.LEGACY, "Invalid token.", "does not know this legacy token", "EMOLAB_STUDIO_TOKEN"),
        (TokenKind.PERSONAL, "Token is blacklisted", "was revoked", "EMOLAB_STUDIO_TOKEN"),
        (TokenKind.PERSONAL, "User not found", "no longer exists", "Log in as another user"),
        (TokenKind.PERSONAL, "Token is invalid", "belongs to another server", "EMOLAB_STUDIO_TOKEN"),
    ],
)
def test_a_refusal_by_the_server_says_why_and_what_to_do(kind: TokenKind, detail: str, message: str, hint: str) -> None:
    what, then = tokens.refused(kind, URL, detail)
    assert message in what
    assert hint in then


def test_the_expiry_of_a_personal_token_is_read_and_a_legacy_token_has_none() -> None:
    assert tokens.expiry(jwt(token_type="refresh", exp=1234)) == 1234.0
    assert tokens.expiry(LEGACY) is None


def test_a_stored_token_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens.write(file, "secret")
    tokens.write(file, "newer")
    assert file.read_text() == "newer"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["token"]
