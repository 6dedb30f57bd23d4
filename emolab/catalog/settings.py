"""Small facts about the catalog itself, such as its secret for pseudonyms."""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlalchemy import Connection, select, update

from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import insert_or_ignore

_settings = schema.settings


def get(conn: Connection, name: str) -> str | None:
    """The value stored under ``name``, or ``None``."""
    value: str | None = conn.execute(select(_settings.c.value).where(_settings.c.name == name)).scalar()
    return value


def put(tx: Connection, name: str, value: str) -> None:
    """Store ``value`` under ``name``, replacing what was there."""
    insert_or_ignore(tx, _settings, [{"name": name, "value": value}])
    tx.execute(update(_settings).where(_settings.c.name == name).values(value=value))


def secret(tx: Connection) -> bytes:
    """The catalog's own secret, made on first use: it turns people's identities into stable pseudonyms."""
    insert_or_ignore(tx, _settings, [{"name": "secret", "value": secrets.token_hex(32)}])
    return bytes.fromhex(get(tx, "secret") or "")


#: Under which name it is kept that splits may divide speakers.
_DIVIDED = "speakers_divided"


def divide_speakers(tx: Connection, by: str, *, source: str | None = None) -> None:
    """Keep that the command ``by`` was told to divide speakers between splits, in ``source`` only or everywhere."""
    known = speakers_divided(tx)
    row = {"by": by, "source": source}
    if row not in known:
        put(tx, _DIVIDED, json.dumps([*known, row]))


def speakers_divided(conn: Connection) -> list[dict[str, Any]]:
    """Which commands were told so: ``by`` and ``source`` (``None``: all of them), in the order they were given."""
    found: list[dict[str, Any]] = json.loads(get(conn, _DIVIDED) or "[]")
    return found
