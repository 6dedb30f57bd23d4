"""A progress that keeps what a step says."""

from __future__ import annotations

from emolab.progress import Progress


class Heard(Progress):
    """``notes`` and ``warnings`` apart, and ``lines``: both in their order."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)
        self.lines.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warnings.append(text)
        self.lines.append(text)
