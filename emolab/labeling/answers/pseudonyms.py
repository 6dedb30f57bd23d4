"""Stable pseudonyms for the people behind user ids, so that no name or address enters the ledger."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from emolab.catalog import settings, votes
from emolab.catalog.campaign import answers

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.labeling.label_studio.records import RemoteUser


def pseudonym(secret: bytes, identity: str) -> str:
    """The pseudonym of ``identity`` under the workspace's ``secret``: the same person, the same name, for ever.

    HMAC-SHA256 (RFC 2104), 40 bits of it in letters and digits: without the secret nobody can try addresses against it.

    >>> pseudonym(b"secret", "Ann@lab.example") == pseudonym(b"secret", "ann@lab.example ")
    True
    """
    digest = hmac.new(secret, identity.strip().lower().encode(), hashlib.sha256).digest()
    return "ann-" + base64.b32encode(digest[:5]).decode().lower()


def departed(annotation: int) -> str:
    """The annotator of an answer whose author was gone before it was first read: nobody can be told apart any more."""
    return f"departed-{annotation}"


def remember(tx: Connection, server: str, strangers: Iterable[int], users: Mapping[int, RemoteUser]) -> dict[int, str]:
    """Give user ids not seen before a pseudonym, and return the pseudonyms of all user ids of the server.

    It is made from the address where the server tells it and from the id where it does not; once given it stays, even
    when the address changes or the account is deleted.
    """
    fresh = sorted(strangers)
    if fresh:
        secret = settings.secret(tx)
        made = {u: pseudonym(secret, users[u].email if u in users else f"{server}:{u}") for u in fresh}
        answers.add_people(tx, server, made, votes.annotator_keys(tx, made.values()))
    return answers.people(tx, server)
