"""What a forgetting has done so far, on disk before the next step begins, and gone when it has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.catalog.privacy.tombstones import FOLDER, JOURNAL
from emolab.errors import DataError
from emolab.files import write_bytes
from emolab.loop.operate.forgetting.traces import Traces

if TYPE_CHECKING:
    from emolab.workspace import Workspace

_VERSION = 1


@dataclass
class ForgetJournal:
    """The journal in ``file``: when it began, what was ``asked`` (without names), the traces, and what is ``done``.

    ``snapshots``, ``states`` (of the data) and ``models`` held something of it, ``backups`` may. ``done`` tells by the
    name of a holder what was erased there.
    """

    file: Path
    at: str
    asked: Mapping[str, Any]
    traces: Traces
    snapshots: list[str]
    states: list[str]
    models: list[str]
    backups: list[str]
    done: dict[str, dict[str, Any]]

    def save(self) -> None:
        """Write it down; on disk when this returns."""
        told = {
            "version": _VERSION, "at": self.at, "asked": self.asked, "traces": self.traces.to_dict(),
            "snapshots": self.snapshots, "states": self.states, "models": self.models, "backups": self.backups,
            "done": self.done,
        }  # fmt: skip
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        write_bytes(self.file, json.dumps(told).encode(), mode=0o600)

    def end(self) -> None:
        """Take it away: everything is done."""
        self.file.unlink()


def place(workspace: Workspace) -> Path:
    """Where the journal lies while there is one."""
    return workspace.state / FOLDER / JOURNAL


def read(workspace: Workspace) -> ForgetJournal | None:
    """The journal of a forgetting that has not ended, if there is one. Raises :class:`DataError` for a damaged one."""
    file = place(workspace)
    if not file.is_file():
        return None
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        names = ("at", "asked", "snapshots", "states", "models", "backups", "done")
        return ForgetJournal(file=file, traces=Traces.of_dict(told["traces"]), **{name: told[name] for name in names})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The journal of an unfinished forgetting is damaged: {file}.",
            hint="Move it away, and forget the same samples again.",
        ) from error
