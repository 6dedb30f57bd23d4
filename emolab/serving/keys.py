"""Keys of those who may call the API: 32 random bytes each; only the SHA-256 is kept, in one file of mode 0600.

A file, and not a table of the catalog: a server without a workspace has keys too, a key check opens no database, and a
copy of the catalog carries none of them. A key has so much randomness that a plain hash cannot be turned back.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from emolab.errors import DataError, UnknownName

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
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._held: tuple[ServeKey, ...] = ()

    def add(self, name: str) -> str:
        """A new key for ``name``, which is shown this once. Raises :class:`DataError` for a name that cannot be."""
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise DataError(f"A key's name has 1 to {_LONGEST_NAME} printable characters.")
        key = PREFIX + secrets.token_urlsafe(_BYTES)
        with self._locked():
            held = self.all()
            if any(one.name == name for one in held):
                raise DataError(
                    f'There is a key "{name}" already.', hint=f"Take it back first: emolab serve keys revoke {name}"
                )
            moment = datetime.now(UTC).isoformat(timespec="seconds")
            self._write((*held, ServeKey(name, digest_of(key), moment)))
        return key

    def revoke(self, name: str) -> ServeKey:
        """Take the key of ``name`` back; a running server refuses it from now on. Raises :class:`UnknownName`."""
        with self._locked():
            held = self.all()
            found = next((one for one in held if one.name == name), None)
            if found is None:
                raise UnknownName("key", name, [one.name for one in held])
            self._write(tuple(one for one in held if one is not found))
        return found

    def all(self) -> tuple[ServeKey, ...]:
        """Every key, oldest first. Raises :class:`DataError` for a damaged file."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return ()
        stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        with self._lock:
            if stamp != self._stamp:
                self._held, self._stamp = _parsed(self.path), stamp
            return self._held

    def who(self, key: str) -> str | None:
        """Whose ``key`` this is; ``None`` for a wrong one. Takes as long for each key that there is."""
        digest = digest_of(key)
        found = None
        for one in self.all():
            if hmac.compare_digest(one.digest, digest):
                found = one.name
        return found

    def _locked(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock", mode=0o600)

    def _write(self, keys: tuple[ServeKey, ...]) -> None:
        content = json.dumps({"format": FORMAT, "keys": [asdict(key) for key in keys]}, indent=2)
        temporary = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)


def digest_of(key: str) -> str:
    """What is kept of ``key``: its SHA-256 in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(path: Path) -> tuple[ServeKey, ...]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(found["format"])
        return tuple(ServeKey(**key) for key in found["keys"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no file of keys: {error}.",
            hint="Remove it, and add the keys again with: emolab serve keys add NAME",
        ) from error
