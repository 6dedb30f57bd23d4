"""Progress bars on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text

from emolab import progress
from emolab.safe_text import visible


class _Count(MofNCompleteColumn):
    """Done of total; nothing where the total is not known."""

    def render(self, task: RichTask) -> Text:
        return super().render(task) if task.total is not None else Text()


class _Rate(TextColumn):
    """Units per second, averaged over the last moments."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        return Text(
            "" if not speed else f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s", style="dim"
        )


class _Bar(progress.Task):
    def __init__(self, bars: Bars, description: str, total: int | None, unit: str) -> None:
        self._bars, self._id = bars, TaskID(-1)
        self._arguments = (description, total, unit)

    def __enter__(self) -> _Bar:
        description, total, unit = self._arguments
        self._id = self._bars.open(description, total, unit)
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.close(self._id)

    def advance(self, n: int = 1) -> None:
        self._bars.rich.advance(self._id, n)

    def expect(self, total: int) -> None:
        self._bars.rich.update(self._id, total=total)

    def describe(self, text: str) -> None:
        self._bars.rich.update(self._id, description=text)


class Bars(progress.Progress):
    """Bars with rate and time to go, removed when done; notes as dim lines."""

    def __init__(self, console: Console) -> None:
        self.rich = Progress(
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32, complete_style="cyan", finished_style="green"),
            _Count(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._console, self._open = console, 0

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> progress.Task:
        """A bar, shown while its block runs."""
        return _Bar(self, description, total, unit)

    def note(self, text: str) -> None:
        """A line of prose above the bars."""
        self._console.print(Text(visible(text)), style="dim")

    def warn(self, text: str) -> None:
        """The same, to be noticed."""
        self._console.print(Text.assemble(("! ", "yellow"), visible(text)))

    def open(self, description: str, total: int | None, unit: str) -> TaskID:
        """Show a new bar; the first one starts the display."""
        if self._open == 0:
            self.rich.start()
        self._open += 1
        return self.rich.add_task(description, total=total, unit=unit)

    def close(self, task: TaskID) -> None:
        """Take a bar away; the last one ends the display."""
        self.rich.remove_task(task)
        self._open -= 1
        if self._open == 0:
            self.rich.stop()
