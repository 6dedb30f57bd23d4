"""What stays of something forgotten: a keyed hash of its id, by which it is known when it comes again.

Tombstones lie in files of the workspace and not in the catalog, so that a backup of an older catalog does not bring
the forgotten back. Each is an HMAC-SHA256 under a key of the workspace's own. Without the key nobody can try contents
against them; with the key and the content itself one can see that it was forgotten here.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import DataError
from emolab.files import write_bytes

if TYPE_CHECKING:
    from emolab.workspace import Workspace

#: Below ``.emolab``: the key, the tombstones, the journal of an unfinished forgetting, certificates.
FOLDER, KEY, FILE, JOURNAL = "forgotten", "key", "tombstones.txt", "unfinished.json"
#: With fewer or more bits set, a perceptual hash says nothing of a picture.
_FEWEST, _MOST = 16, 48
_HEX = 64


class Tombstones:
    """The tombstones of one workspace; reading costs one look at a file where nothing was ever forgotten."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = workspace.state / FOLDER
        self._known: frozenset[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def of_id(self, sample_id: str) -> str:
        """The tombstone of a sample's id, or of another text, 64 hex digits."""
        return hmac.new(self._key(), f"id {sample_id}".encode(), hashlib.sha256).hexdigest()

    def of_phash(self, phash: int) -> str:
        """The tombstone of a perceptual hash of 64 bits."""
        return hmac.new(self._key(), f"phash {phash % (1 << 64)}".encode(), hashlib.sha256).hexdigest()

    def of_look(self, number: int) -> str:
        """The tombstone of a number by which a picture is known in other sizes and qualities."""
        return hmac.new(self._key(), f"look {number}".encode(), hashlib.sha256).hexdigest()

    def known(self, sample_id: str) -> bool:
        """Whether the sample with this id was forgotten."""
        return bool(self._all()) and self.of_id(sample_id) in self._all()

    def alike(self, phash: int | None, looks: Iterable[int] = ()) -> bool:
        """Whether something with this perceptual hash, or known by one of ``looks``, was forgotten: the same picture in
        another file, mostly."""
        if not self._all():
            return False
        same = says_something(phash) and self.of_phash(int(phash or 0)) in self._all()
        return same or any(self.of_look(each) in self._all() for each in looks)

    def among(self, ids: Iterable[str]) -> list[str]:
        """Those of ``ids`` that were forgotten."""
        return [each for each in ids if self.known(each)] if self._all() else []

    def add(self, ids: Iterable[str], phashes: Iterable[int] = (), looks: Iterable[int] = ()) -> list[str]:
        """Keep tombstones of samples and of what they are known by; returns those of the ids. On disk on return."""
        made = [self.of_id(each) for each in ids]
        seen = [self.of_phash(each) for each in phashes if says_something(each)]
        self._write(self._all() | {*made, *seen, *map(self.of_look, looks)})
        return made

    def lift(self, ids: Iterable[str], phashes: Iterable[int] = (), looks: Iterable[int] = ()) -> None:
        """Take tombstones away again: somebody said that these samples may come back."""
        if not self._all():
            return
        gone = {*map(self.of_id, ids), *map(self.of_phash, phashes), *map(self.of_look, looks)}
        if not gone.isdisjoint(self._all()):
            self._write(self._all() - gone)

    def _write(self, all_of_them: frozenset[str]) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        write_bytes(self.folder / FILE, "".join(f"{each}\n" for each in sorted(all_of_them)).encode(), mode=0o600)
        self._known = frozenset(all_of_them)

    def _all(self) -> frozenset[str]:
        if self._known is None:
            file = self.folder / FILE
            lines = file.read_text(encoding="ascii").split() if file.is_file() else []
            if any(len(line) != _HEX for line in lines):
                raise DataError(f"{file} is damaged.", hint="Bring it back from a backup; it says what was forgotten.")
            self._known = frozenset(lines)
        return self._known

    def _key(self) -> bytes:
        file = self.folder / KEY
        try:
            return bytes.fromhex(file.read_text(encoding="ascii"))
        except FileNotFoundError:
            if self._all():
                raise DataError(
                    f"The key of what was forgotten is missing: {file}.",
                    hint="Bring it back from a backup; without it forgotten samples are not known again.",
                ) from None
        self.folder.mkdir(mode=0o700, exist_ok=True)
        write_bytes(file, secrets.token_hex(32).encode(), mode=0o600)
        return bytes.fromhex(file.read_text(encoding="ascii"))


def says_something(phash: int | None) -> bool:
    """Whether a perceptual hash tells pictures apart; the ones of flat pictures do not.

    >>> says_something(0), says_something(None), says_something(0x0F0F0F0F0F0F0F0F)
    (False, False, True)
    """
    return phash is not None and _FEWEST <= (phash % (1 << 64)).bit_count() <= _MOST


def unfinished(workspace: Workspace) -> bool:
    """Whether a forgetting began here that has not ended."""
    return os.path.exists(workspace.state / FOLDER / JOURNAL)  # noqa: PTH110 - asked by every command


def certificates(workspace: Workspace) -> list[Path]:
    """The certificates of what was forgotten, oldest first."""
    return sorted((workspace.state / FOLDER).glob("certificate-*.json"))
