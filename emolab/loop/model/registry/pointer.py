"""One atomic move of a name from one model to another, and the file that tells servers to look.

1. The file of the pointer is written beside its place and flushed: a full or read-only disk stops here, with nothing
   done yet.
2. The event is committed to the catalog. From here on the move holds.
3. The file is put in its place by a rename.

The catalog is what counts; the file ``.emolab/models/champion.json`` says that something moved, so that a server need
not ask a database every second. After a kill between 2 and 3 a server finds the move at its next look at the catalog,
and the next move writes the file again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from emolab.workspace import Workspace

POINTER = "champion.json"
LOCK = "models"
#: Seconds for which a move waits while another one is under way.
WAIT = 60.0


def pointer_file(workspace: Workspace) -> Path:
    """Where the pointer lies."""
    return workspace.models / POINTER


def moved_at(workspace: Workspace) -> tuple[int, int]:
    """Another value after every move of a name: when the pointer was written, and which file it is."""
    try:
        told = pointer_file(workspace).stat()
    except OSError:  # none yet
        return (0, 0)
    return (told.st_mtime_ns, told.st_ino)


@contextmanager
def moving(workspace: Workspace) -> Iterator[Connection]:
    """A write transaction in which names of models move; all of it happens or nothing. One at a time per workspace."""
    with workspace.lock(LOCK, wait=WAIT), workspace.catalog() as catalog:
        target = pointer_file(workspace)
        ready = target.with_name(f".{POINTER}.{os.getpid()}.part")
        try:
            with catalog.begin() as tx:
                yield tx
                workspace.models.mkdir(parents=True, exist_ok=True)
                _flushed(ready, _content(tx))
            ready.replace(target)
        finally:
            ready.unlink(missing_ok=True)


def write_pointer(workspace: Workspace) -> None:
    """Put the pointer in step with the catalog, after a change that did not go through :func:`moving`."""
    with moving(workspace):
        pass


def _content(conn: Connection) -> str:
    """Every alias and its model, as JSON."""
    from emolab.catalog import models

    return json.dumps({"aliases": dict(sorted(models.aliases(conn).items()))}, indent=2) + "\n"


def _flushed(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
