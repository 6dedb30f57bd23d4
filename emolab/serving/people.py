"""People with a personal link to the app: a token of 32 random bytes each, a role, and a day on which it ends.

Kept as keys are: only the token's SHA-256, in one file of mode 0600 that a running server reads again when it changed.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from emolab.errors import DataError, UnknownName
from emolab.serving.keys import check_name, digest_of
from emolab.serving.private_file import PrivateFile

FORMAT = "emolab-people/1"
#: What every link's token begins with, so that tools that search for leaked secrets can know it.
PREFIX = "emolab_p_"
#: From the one who may least to the one who may all.
ROLES = ("annotator", "reader", "owner")
#: What whoever started the server is called.
OWNER = "owner"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a link: ``digest`` of its token (hex SHA-256), a role of :data:`ROLES`, moments in UTC.

    ``language`` is what the pages speak [the settings'], ``users`` the ids at Label Studio servers, by server.
    """

    name: str
    role: str
    digest: str
    created_at: str
    expires_at: str
    language: str | None = None
    users: Mapping[str, int] = field(default_factory=dict)

    def expired(self, now: datetime | None = None) -> bool:
        """Whether the link's time is over."""
        return (now or datetime.now(UTC)) >= datetime.fromisoformat(self.expires_at)

    def may(self, role: str) -> bool:
        """Whether somebody of this role may do what ``role`` may.

        >>> Person("ann", "annotator", "", "", "").may("reader"), Person("bob", "owner", "", "", "").may("reader")
        (False, True)
        """
        return ROLES.index(self.role) >= ROLES.index(role)


class PeopleFile:
    """The people in the file at ``path``; a missing file holds nobody. A change by another process is seen at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: PrivateFile[Person] = PrivateFile(
            path,
            kind=FORMAT,
            key="people",
            parse=_parsed,
            plain=asdict,
            hint="Remove it, and add the people again with: emolab serve people add NAME",
        )

    def add(self, name: str, role: str, *, days: float, language: str | None = None) -> tuple[str, Person]:
        """A new token, shown this once, and its person. Raises :class:`DataError` for a name that cannot be."""
        check_name(name, "A person's name")
        if name == OWNER:
            raise DataError(
                f'"{OWNER}" is whoever starts the server, and gets a link then.', hint="Choose another name."
            )
        token = PREFIX + secrets.token_urlsafe(_BYTES)
        now = datetime.now(UTC)
        ends = (now + timedelta(days=days)).isoformat(timespec="seconds")
        with self._file.locked():
            held = self.all()
            before = next((one for one in held if one.name == name), None)
            if before is not None and not before.expired(now):
                raise DataError(
                    f'There is a link for "{name}" already.',
                    hint=f"Take it back first: emolab serve people revoke {name}",
                )
            made = Person(name, role, digest_of(token), now.isoformat(timespec="seconds"), ends, language)
            self._file.write((*(one for one in held if one is not before), made))
        return token, made

    def revoke(self, name: str) -> Person:
        """Take the link of ``name`` back; a running server refuses it from now on. Raises :class:`UnknownName`."""
        with self._file.locked():
            held = self.all()
            found = next((one for one in held if one.name == name), None)
            if found is None:
                raise UnknownName("person", name, [one.name for one in held])
            self._file.write(tuple(one for one in held if one is not found))
        return found

    def remember_user(self, name: str, server: str, user: int) -> None:
        """Write down which user of a Label Studio server ``name`` is; nothing where ``name`` was revoked meanwhile."""
        with self._file.locked():
            held = self.all()
            self._file.write(
                tuple(replace(one, users={**one.users, server: user}) if one.name == name else one for one in held)
            )

    def all(self) -> tuple[Person, ...]:
        """Everybody, oldest first. Raises :class:`DataError` for a damaged file."""
        return self._file.all()

    def of_token(self, token: str) -> Person | None:
        """Whose ``token`` this is, expired or not; ``None`` for a wrong one. Takes as long for everybody."""
        digest = digest_of(token)
        found = None
        for one in self.all():
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def of_digest(self, digest: str) -> Person | None:
        """Who has the link with this digest now; ``None`` once it was revoked."""
        return next((one for one in self.all() if one.digest == digest), None)


def _parsed(row: Mapping[str, Any]) -> Person:
    made = Person(**row)
    if made.role not in ROLES:
        raise ValueError(f"role {made.role!r}")
    datetime.fromisoformat(made.expires_at)
    return made
