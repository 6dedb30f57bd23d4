"""How long work tells about itself without knowing who listens."""

from __future__ import annotations


class Task:
    """One running piece of work; a context manager. The base class is silent."""

    def advance(self, n: int = 1) -> None:
        """Report ``n`` more units as done."""

    def expect(self, total: int) -> None:
        """Say how many units there will be, when that was not known at the start."""

    def describe(self, text: str) -> None:
        """Change the text shown beside the bar."""

    def __enter__(self) -> Task:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


class Progress:
    """Opens tasks. The base class is silent; the command line shows bars on standard error."""

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:  # noqa: ARG002
        """Open a task of ``total`` units (``None``: unknown)."""
        return Task()

    def note(self, text: str) -> None:
        """Say one line of prose (announced fallbacks, what was chosen and why)."""

    def warn(self, text: str) -> None:
        """Say one line about what will probably not turn out as wanted."""


class Wordless(Progress):
    """The bars of ``other`` without its prose, for whoever tells the story in words of their own."""

    def __init__(self, other: Progress) -> None:
        self._other = other

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:
        """Open the task where ``other`` would."""
        return self._other.task(description, total, unit=unit)


SILENT = Progress()
