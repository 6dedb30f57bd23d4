"""Steps for tests of jobs: some end, some wait, some do not behave."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from emolab.errors import DataError
from emolab.progress import Progress
from emolab.workspace import Workspace


def counts(*, workspace: Workspace, progress: Progress, n: int) -> dict[str, Any]:
    """Counts to ``n`` and prints, which must not get among the lines of progress."""
    with progress.task("counting", n, unit="numbers") as task:
        for number in range(n):
            print("{}", number)  # noqa: T201
            task.advance()
    progress.note("counted")
    return {"n": n, "root": str(workspace.root), "more": list(range(n))}


def waits(*, workspace: Workspace, progress: Progress) -> None:
    """Waits until it is stopped, and says in files when it began and when it had cleaned up."""
    try:
        with progress.task("waiting") as task:
            task.advance()
            (workspace.root / "begun").write_text(str(os.getpid()))
            time.sleep(600)
    finally:
        (workspace.root / "cleaned").touch()


def never_ends(*, workspace: Workspace, progress: Progress) -> None:
    """Takes no notice of being stopped."""
    with progress.task("deaf"):
        (workspace.root / "begun").write_text(str(os.getpid()))
        while True:
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                continue


def refuses(*, workspace: Workspace, progress: Progress) -> None:
    """Says what is wrong and what to do."""
    del workspace, progress
    raise DataError("There is nothing.", hint="Bring something.")


def breaks(*, workspace: Workspace, progress: Progress) -> None:
    """Has a mistake in it."""
    del workspace, progress
    raise ValueError("a mistake")


def dies(*, workspace: Workspace, progress: Progress) -> None:
    """Is gone without a word."""
    del workspace, progress
    os._exit(3)


def begun(workspace: Workspace) -> int | None:
    """The process of a step that has begun to wait."""
    file = Path(workspace.root / "begun")
    text = file.read_text() if file.exists() else ""
    return int(text) if text else None
