"""Progress where Python is used by hand: bars in a notebook, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from html import escape
from typing import Any

from emolab.progress import Progress, Task

#: Notes are logged as information, warnings as warnings, which Python prints where nobody set up anything.
LOGGER = logging.getLogger("emolab")
#: Beside the bar of work that an error or an interruption ended.
STOPPED = "stopped"
#: Seconds between two pictures of a bar.
PAUSE = 0.2


def watching() -> Progress:
    """What shows progress here: :class:`NotebookProgress` in a notebook, else :class:`LoggedProgress`."""
    return NotebookProgress() if _in_notebook() else LoggedProgress()


class LoggedProgress(Progress):
    """Notes and warnings through :mod:`logging`, under the name ``emolab``; no bars."""

    def note(self, text: str) -> None:
        """Log one line of prose."""
        LOGGER.info(text)

    def warn(self, text: str) -> None:
        """Log what will probably not turn out as wanted."""
        LOGGER.warning(text)


class NotebookProgress(Progress):
    """One bar below the cell for each task, and notes as lines; a task within another goes away when it is done."""

    def __init__(self) -> None:
        self._open: list[_Bar] = []

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:
        """Open a bar of ``total`` units (``None``: unknown)."""
        return _Bar(description, total, unit, among=self._open)

    def note(self, text: str) -> None:
        """Show one line of prose."""
        _display(f'<div style="color:gray">{escape(text)}</div>')

    def warn(self, text: str) -> None:
        """Show one line to be noticed."""
        _display(f'<div><b style="color:darkorange">!</b> {escape(text)}</div>')


class _Bar(Task):
    def __init__(self, description: str, total: int | None, unit: str, *, among: list[_Bar]) -> None:
        self._among, self._inner = among, False
        self._text, self._total, self._unit = description, total, unit
        self._done, self._shown, self._started = 0, 0.0, time.monotonic()
        self._ended = ""
        self._handle: Any = None

    def __enter__(self) -> Task:
        self._inner = bool(self._among)
        self._among.append(self)
        self._handle = _display(self._html())
        return self

    def __exit__(self, *exc: object) -> None:
        spent = time.monotonic() - self._started
        self._ended = STOPPED if exc and exc[0] is not None else f"{spent:.1f} s"
        self._among.remove(self)
        self._draw(at_once=True)

    def advance(self, n: int = 1) -> None:
        """Report ``n`` more units as done."""
        self._done += n
        self._draw()

    def expect(self, total: int) -> None:
        """Say how many units there will be."""
        self._total = total
        self._draw()

    def describe(self, text: str) -> None:
        """Change the text beside the bar."""
        self._text = text
        self._draw()

    def _draw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._handle is not None and (at_once or now - self._shown >= PAUSE):
            self._shown = now
            self._handle.update(_markup(self._html()))

    def _html(self) -> str:
        if self._inner and self._ended and self._ended != STOPPED:
            return ""
        whole = "" if self._total is None else f" of {self._total:,}"
        limit = "" if self._total is None else f' value="{self._done}" max="{max(self._total, 1)}"'
        count = f"{self._done:,}{whole} {self._unit}".strip() if self._total or self._done else ""
        # a bar of unknown length moves for as long as it is there, so it goes when the work is done
        bar = "" if self._ended and self._total is None else f"<progress{limit}></progress>"
        tail = " · ".join(part for part in (count, self._ended) if part)
        return f"<div>{escape(self._text)} {bar} {escape(tail)}</div>"


def _display(html: str) -> Any:
    """Show ``html`` below the cell; the handle that replaces it."""
    from IPython.display import display

    show: Any = display
    return show(_markup(html), display_id=True)


def _markup(html: str) -> Any:
    from IPython.display import HTML

    made: Any = HTML
    return made(html)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, Colab's own kind included: IPython in a terminal cannot show HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)
