"""What a cycle has done so far: one file of JSON lines a cycle, which a kill leaves readable.

A line is on the disk before the next step begins. Half a line at the end, of a write that was cut off, counts as not
written; the next line then starts anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emolab.catalog.storage.engine import now
from emolab.files import append_line, damaged, read_lines

#: The file of a cycle's journal, and of what it came to.
JOURNAL, REPORT = "journal.jsonl", "report.html"
BEGUN, STARTED, DONE, ENDED = "begun", "started", "done", "ended"
#: The votes do not do for a step, and the steps begin again with other votes: what stands before FAILED is not done.
FAILED, AGAIN = "failed", "again"


@dataclass(frozen=True)
class CycleJournal:
    """The journal of one cycle in its ``folder``; ``number`` counts cycles from 1."""

    folder: Path
    number: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def begun(self) -> dict[str, Any]:
        """Why and from which votes the cycle began, the last time that it did."""
        again = [line for line in self.lines if line["kind"] == AGAIN]
        return self.lines[0] | {key: line[key] for line in again for key in ("mark", "votes", "reason", "pulled")}

    @property
    def ended(self) -> bool:
        """Whether the cycle came to its end."""
        return bool(self.lines[-1]["kind"] == ENDED)

    @property
    def failed(self) -> bool:
        """Whether the cycle was left because the votes do not do."""
        return bool(self.lines[-1]["kind"] == FAILED)

    def started(self, step: str) -> dict[str, Any] | None:
        """What was noted when ``step`` was first started; ``None`` before that."""
        return self._first(STARTED, step)

    def done(self, step: str) -> dict[str, Any] | None:
        """What ``step`` came to; ``None`` before it was done."""
        return self._first(DONE, step)

    def _first(self, kind: str, step: str) -> dict[str, Any] | None:
        since = max((number for number, line in enumerate(self.lines) if line["kind"] == FAILED), default=0)
        counted = self.lines[since:]
        return next((line for line in counted if line["kind"] == kind and line.get("step") == step), None)

    def write(self, kind: str, step: str = "", **told: Any) -> dict[str, Any]:
        """Add a line; when this returns it is on the disk."""
        line = {"kind": kind, **({"step": step} if step else {}), "at": now(), **told}
        self.folder.mkdir(parents=True, exist_ok=True)
        append_line(self.folder / JOURNAL, json.dumps(line))
        self.lines.append(line)
        return line


def read_all(root: Path) -> list[CycleJournal]:
    """Every cycle that began, oldest first."""
    folders = sorted(file.parent for file in root.glob(f"*/{JOURNAL}"))
    found = [CycleJournal(folder, int(folder.name), _lines(folder / JOURNAL)) for folder in folders]
    return [journal for journal in found if journal.lines]


def begin(root: Path, told: Mapping[str, Any]) -> CycleJournal:
    """A new cycle, with what it begins from."""
    numbers = [int(folder.name) for folder in root.glob("[0-9]*") if folder.name.isdigit()]
    number = max(numbers, default=0) + 1
    journal = CycleJournal(root / f"{number:04d}", number)
    journal.write(BEGUN, **told)
    return journal


def _lines(file: Path) -> list[dict[str, Any]]:
    """The whole lines of ``file``. Raises :class:`DataError` for a damaged one that is not a cut-off write."""
    hint = "Move that folder away; the next cycle then starts from the votes as they are."
    lines = read_lines(file, hint=hint)
    strange = [number for number, line in lines if "kind" not in line]
    if strange:
        raise damaged(file, strange[0], hint)
    return [line for _, line in lines]
