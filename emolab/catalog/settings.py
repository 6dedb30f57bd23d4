"""Small facts about the catalog itself, such as its secret for pseudonyms."""

from __future__ import annotations

import secrets

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
