"""Keys of those who may call the API: 32 random bytes each; only the SHA-256 is kept, in one file of mode 0600.

A file, and not a table of the catalog: a server without a workspace has keys too, a key check opens no database, and a
copy of the catalog carries none of them. A key has so much randomness that a plain hash cannot be turned back.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from emolab.errors import DataError, UnknownName
from emolab.serving.private_file import PrivateFile

FORMAT = "emolab-keys/1"
#: What every key begins with, so that tools that search for leaked secrets can know it.
PREFIX = "emolab_"
_BYTES = 32
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class ServeKey:
    """A key as it is kept: whose it is, the ``digest`` (hex SHA-256) and since when it is valid."""

    name: str
    digest: str
    created_at: str


class KeyFile:
    """The keys in the file at ``path``; a missing file holds none. A change by another process is seen at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: PrivateFile[ServeKey] = PrivateFile(
            path,
            kind=FORMAT,
            key="keys",
            parse=lambda row: ServeKey(**row),
            plain=asdict,
            hint="Remove it, and add the keys again with: emolab serve keys add NAME",
        )

    def add(self, name: str) -> str:
        """A new key for ``name``, which is shown this once. Raises :class:`DataError` for a name that cannot be."""
        check_name(name, "A key's name")
        key = PREFIX + secrets.token_urlsafe(_BYTES)
        with self._file.locked():
            held = self.all()
            if any(one.name == name for one in held):
                raise DataError(
                    f'There is a key "{name}" already.', hint=f"Take it back first: emolab serve keys revoke {name}"
                )
            moment = datetime.now(UTC).isoformat(timespec="seconds")
            self._file.write((*held, ServeKey(name, digest_of(key), moment)))
        return key

    def revoke(self, name: str) -> ServeKey:
        """Take the key of ``name`` back; a running server refuses it from now on. Raises :class:`UnknownName`."""
        with self._file.locked():
            held = self.all()
            found = next((one for one in held if one.name == name), None)
            if found is None:
                raise UnknownName("key", name, [one.name for one in held])
            self._file.write(tuple(one for one in held if one is not found))
        return found

    def all(self) -> tuple[ServeKey, ...]:
        """Every key, oldest first. Raises :class:`DataError` for a damaged file."""
        return self._file.all()

    def who(self, key: str) -> str | None:
        """Whose ``key`` this is; ``None`` for a wrong one. Takes as long for each key that there is."""
        digest = digest_of(key)
        found = None
        for one in self.all():
            if hmac.compare_digest(one.digest, digest):
                found = one.name
        return found


def check_name(name: str, what: str) -> None:
    """Raise :class:`DataError` for a name that cannot be; ``what`` begins the message."""
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise DataError(f"{what} has 1 to {_LONGEST_NAME} printable characters.")


def digest_of(key: str) -> str:
    """What is kept of ``key``: its SHA-256 in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
