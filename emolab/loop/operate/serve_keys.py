"""Keys of those who may call ``emolab serve``: made, listed and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.results import Result, Table

if TYPE_CHECKING:
    from emolab.serving.keys import KeyFile, ServeKey
    from emolab.workspace import Workspace

#: Where in a workspace's state a server keeps what is its own: keys, audit log, what a candidate said.
FOLDER = "serving"


@dataclass(frozen=True, slots=True)
class NewServeKey(Result):
    """The ``key`` of ``name``, which is nowhere else: only a hash of it is kept."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class RevokedServeKey(Result):
    """Whose key is not valid any more, and since when it had been."""

    name: str
    created_at: str


@dataclass(frozen=True, slots=True)
class ServeKeys(Result):
    """All ``keys``, oldest first; to be counted and gone through like a list."""

    keys: list[ServeKey]

    def __iter__(self) -> Iterator[ServeKey]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def to_dict(self) -> dict[str, Any]:
        """Whose keys there are and since when, ready for JSON."""
        return {"keys": [{"name": key.name, "created_at": key.created_at} for key in self.keys]}

    def tables(self) -> list[Table]:
        """One row a key."""
        return [Table("Keys", ("name", "made"), [[key.name, key.created_at] for key in self.keys])]


def add_serve_key(workspace: Workspace | None, name: str, *, keys: Path | str | None = None) -> NewServeKey:
    """Make a key for ``name`` in the file ``keys`` [the workspace's]; a running server knows it at once.

    Raises :class:`DataError` for a name that is taken or cannot be one, :class:`ConfigError` without a file.
    """
    return NewServeKey(name, key_file(workspace, keys).add(name))


def serve_keys(workspace: Workspace | None, *, keys: Path | str | None = None) -> ServeKeys:
    """Whose keys are in the file ``keys`` [the workspace's]; none of them is no error."""
    return ServeKeys(list(key_file(workspace, keys).all()))


def revoke_serve_key(workspace: Workspace | None, name: str, *, keys: Path | str | None = None) -> RevokedServeKey:
    """Take the key of ``name`` back; a running server refuses it from now on.

    Raises :class:`UnknownName` with the nearest name, :class:`ConfigError` without a file.
    """
    gone = key_file(workspace, keys).revoke(name)
    return RevokedServeKey(gone.name, gone.created_at)


def key_file(workspace: Workspace | None, path: Path | str | None = None) -> KeyFile:
    """The keys in the file at ``path`` [the workspace's]. Raises :class:`ConfigError` without either."""
    from emolab.errors import ConfigError
    from emolab.serving.keys import KeyFile

    if path is not None:
        return KeyFile(Path(path))
    if workspace is None:
        raise ConfigError(
            "There is no workspace whose keys could be used.",
            hint="Name a file: --keys FILE, or a workspace: emolab -w DIR serve keys list.",
        )
    return KeyFile(workspace.state / FOLDER / "keys.json")
