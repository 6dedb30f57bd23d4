"""A file of secrets' hashes: mode 0600, written whole, and read again when another process has changed it."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock

from emolab.errors import DataError

R = TypeVar("R")


class PrivateFile(Generic[R]):
    """The rows in the file at ``path``, under ``key``; a missing file holds none.

    ``parse`` makes a row of its JSON, ``plain`` the other way; ``what`` and ``hint`` stand in the error about a
    damaged file.
    """

    def __init__(
        self,
        path: Path,
        *,
        kind: str,
        key: str,
        parse: Callable[[Mapping[str, Any]], R],
        plain: Callable[[R], Mapping[str, Any]],
        hint: str,
    ) -> None:
        self.path = path
        self._kind, self._key, self._parse, self._plain, self._hint = kind, key, parse, plain, hint
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._held: tuple[R, ...] = ()

    def all(self) -> tuple[R, ...]:
        """Every row, oldest first. Raises :class:`DataError` for a damaged file."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return ()
        stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        with self._lock:
            if stamp != self._stamp:
                self._held, self._stamp = self._read(), stamp
            return self._held

    def locked(self) -> FileLock:
        """A lock that other processes respect, for reading and then writing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock", mode=0o600)

    def write(self, rows: Sequence[R]) -> None:
        """Put ``rows`` in the place of what is there; call it while :meth:`locked`."""
        content = json.dumps({"format": self._kind, self._key: [dict(self._plain(row)) for row in rows]}, indent=2)
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

    def _read(self) -> tuple[R, ...]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["format"] != self._kind:
                raise ValueError(found["format"])
            return tuple(self._parse(row) for row in found[self._key])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path} is no file of {self._key}: {error}.", hint=self._hint) from error
