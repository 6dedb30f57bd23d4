"""Where unfinished runs and their states lie: found by their names alone, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from emolab.workspace import Workspace

PLAN = "plan.json"
PREFIX = "at-"


@dataclass(frozen=True)
class Stopped:
    """A run that did not end: ``epoch`` of ``epochs`` are finished, and it was ``touched`` then (seconds, Unix)."""

    epoch: int
    epochs: int
    touched: float


def root(workspace: Workspace) -> Path:
    """Where unfinished runs live."""
    return workspace.state / "runs"


def runs(workspace: Workspace) -> list[Path]:
    """Folders of the unfinished runs, the one worked on last at the end."""
    return sorted((file.parent for file in root(workspace).glob(f"*/{PLAN}")), key=touched)


def touched(run: Path) -> float:
    """When the run in this folder was worked on last, in seconds since 1970."""
    return max(map(_changed, (run, *states(run))))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # a training that is at work has just replaced it
        return 0.0


def states(run: Path) -> list[Path]:
    """The states of a run, oldest first."""
    return sorted(run.glob(f"{PREFIX}*"))


def state(run: Path, *, step: int, epoch: int) -> Path:
    """The folder of the state after ``step`` steps and ``epoch`` finished epochs."""
    return run / f"{PREFIX}{step:09d}-{epoch:05d}"


def last_stopped(workspace: Workspace) -> Stopped | None:
    """The run that was worked on last and can go on; ``None`` without one or before its first state."""
    for run in reversed(runs(workspace)):
        found = states(run)
        if found:
            try:
                epochs = int(json.loads((run / PLAN).read_text(encoding="utf-8"))["epochs"])
                epoch = int(found[-1].name.rsplit("-", 1)[1])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # damaged: emolab train says so
            return Stopped(epoch, epochs, touched(run))
    return None
