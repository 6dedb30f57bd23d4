"""The process of a job: one step on a workspace, which tells its progress line by line and ends when nobody listens.

Standard input holds what to do, as one line of JSON, and stays open as long as the step is wanted: its end, which also
comes when the process at the other side dies, stops the step as Ctrl-C does. Standard output holds one JSON object a
line; what the step itself prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from emolab.errors import EmolabError
from emolab.progress import Progress, Task
from emolab.results import plain_data
from emolab.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds between two lines about one piece of work, and how much the processor prefers the server to this process.
EVERY, NICER = 0.2, 5


class Teller:
    """Writes JSON objects, one a line, from several threads."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def tell(self, **line: object) -> None:
        """Write one line; nothing where nobody listens any more."""
        with self._lock:
            try:
                self._stream.write(json.dumps(line) + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                return


class ToldTask(Task):
    """One piece of work, told to a :class:`Teller`."""

    def __init__(self, teller: Teller, number: int, text: str, total: int | None, unit: str) -> None:
        self._teller, self._number, self._unit = teller, number, unit
        self._text, self._total, self._done, self._last = text, total, 0, 0.0

    def advance(self, n: int = 1) -> None:
        """Count, and tell it from time to time."""
        self._done += n
        if time.monotonic() - self._last >= EVERY:
            self._tell()

    def expect(self, total: int) -> None:
        """Tell the total."""
        self._total = total
        self._tell()

    def describe(self, text: str) -> None:
        """Tell the new text."""
        self._text = text
        self._tell()

    def __enter__(self) -> ToldTask:
        self._tell()
        return self

    def __exit__(self, *exc: object) -> None:
        self._teller.tell(task=self._number, over=True)

    def _tell(self) -> None:
        self._last = time.monotonic()
        self._teller.tell(task=self._number, text=self._text, done=self._done, total=self._total, unit=self._unit)


class ToldProgress(Progress):
    """Progress as lines for the process that started this one."""

    def __init__(self, teller: Teller) -> None:
        self._teller, self._numbers = teller, count(1)

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:
        """A piece of work that is told while its block runs."""
        return ToldTask(self._teller, next(self._numbers), description, total, unit)

    def note(self, text: str) -> None:
        """Tell one line of prose."""
        self._teller.tell(note=text)

    def warn(self, text: str) -> None:
        """The same, to be noticed."""
        self._teller.tell(note=text, warning=True)


def main() -> int:
    """Do what standard input asks for; 0 when how it ended was told."""
    teller = Teller(_own_output())
    _interrupts_once()
    os.nice(NICER)
    try:
        asked = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_input, daemon=True).start()
        teller.tell(found=_done(asked, ToldProgress(teller)))
    except KeyboardInterrupt:
        teller.tell(stopped=True)
    except EmolabError as error:
        teller.tell(message=error.message, hint=error.hint)
    return 0


def _done(asked: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """What the step gives, as plain data: no more of it than was asked for."""
    workspace = Workspace.open(Path(asked["root"]), overrides=asked["overrides"])
    step = getattr(import_module(asked["module"]), asked["step"])
    found = plain_data(step(workspace=workspace, progress=progress, **asked["words"]))
    return {name: found[name] for name in asked["keep"]}


def _own_output() -> IO[str]:
    """Standard output for the lines alone: whatever prints goes to standard error from now on."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def _interrupts_once() -> None:
    """Let the first SIGINT or SIGTERM stop the step; later ones must not cut the cleaning up short."""
    asked = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _end_with_input() -> None:
    """Stop the step when standard input ends. The signal goes to the main thread, so that its waiting ends too."""
    while sys.stdin.readline():
        pass
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
