"""Long steps that a server runs for its people: one at a time, in a process of their own, seen by all, to be stopped.

A job belongs to the server, not to the page that asked for it: a tab that closes changes nothing, and everybody sees
the same job. When the server ends, however it ends, so does the job; a step that was stopped leaves the workspace as
Ctrl-C does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from emolab.errors import EmolabError
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.workspace import Workspace

#: Seconds that a step has to clean up before it is killed, and lines of prose that are kept.
GRACE, MOST_NOTES = 30.0, 20
_COMMAND = (sys.executable, "-P", "-m", "emolab.loop.operate.job_child")


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What is to be done: the ``step`` of ``module`` with these ``words`` (plain data), asked for ``by`` somebody.

    ``id`` is made by whoever asks, so that the same wish sent twice is one job. ``kind`` is what people call it.
    ``keep`` names what is kept of the step's result.
    """

    id: str
    kind: str
    by: str
    module: str
    step: str
    words: Mapping[str, Any] = field(default_factory=dict)
    keep: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class JobView(Result):
    """A job as it stands: ``running``, ``stopping``, or how it ended: ``done``, ``failed``, ``stopped``.

    ``tasks`` are the pieces of work of this moment, each with ``text``, ``done``, ``total`` (``None``: unknown) and
    ``unit``; ``notes`` what was said. ``found`` is what the step gave, ``message`` and ``hint`` why it failed.
    """

    id: str
    kind: str
    by: str
    state: str
    started_at: str
    ended_at: str | None = None
    tasks: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[Mapping[str, Any]] = ()
    found: Mapping[str, Any] | None = None
    message: str | None = None
    hint: str | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None


class JobRunner:
    """Runs jobs on ``workspace``, one at a time; ``ended`` is called with each in the end. Close it."""

    def __init__(self, workspace: Workspace, *, ended: Callable[[JobView], None] = lambda _job: None) -> None:
        self.workspace, self._ended = workspace, ended
        self._lock = threading.Lock()
        self._job: _Job | None = None
        self._closed = False

    def view(self) -> JobView | None:
        """The job that runs, or the last one that ran."""
        with self._lock:
            return None if self._job is None else self._job.view

    def start(self, request: JobRequest) -> JobView:
        """Begin; the same ``id`` again gives the job that there is. Raises :class:`EmolabError` while another runs."""
        with self._lock:
            last = self._job
            if last is not None and last.view.id == request.id:
                return last.view
            if last is not None and not last.view.over:
                raise EmolabError(
                    f"{last.view.by} has something running: {last.view.kind}.",
                    hint="Wait until it ends, or stop it.",
                )
            if self._closed:
                raise EmolabError("The server is ending.", hint="Start it again.")
            self._job = _Job(self.workspace, request, self._lock, self._ended)
            return self._job.view

    def stop(self, job: str) -> JobView | None:
        """Ask the job called ``job`` to stop; nothing where it is over, or another one runs."""
        with self._lock:
            if self._job is not None and self._job.view.id == job:
                self._job.stop()
            return None if self._job is None else self._job.view

    def close(self) -> None:
        """Stop what runs, and wait until it has ended."""
        with self._lock:
            self._closed = True
            job = self._job
            if job is not None:
                job.stop()
        if job is not None:
            job.wait()


class _Job:
    """One process and what it has told so far; the lock is held by whoever calls it."""

    def __init__(
        self, workspace: Workspace, request: JobRequest, lock: threading.Lock, ended: Callable[[JobView], None]
    ) -> None:
        self._lock, self._ended = lock, ended
        self.view = JobView(id=request.id, kind=request.kind, by=request.by, state="running", started_at=_now())
        self._tasks: dict[int, Mapping[str, Any]] = {}
        self._told: Mapping[str, Any] = {}
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C in the server's terminal is for the server, which then stops this
        )
        asked = {
            "root": str(workspace.root), "overrides": list(workspace.overrides), "module": request.module,
            "step": request.step, "words": dict(request.words), "keep": list(request.keep),
        }  # fmt: skip
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise AssertionError("both were asked for")
        self._stdin = stdin
        with suppress(OSError):  # it has died already, which the reader finds out
            self._stdin.write(json.dumps(asked) + "\n")
            self._stdin.flush()
        self._reader = threading.Thread(target=self._read, args=(stdout,), name="job", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Ask the process to stop, once; it is killed where it does not within a time."""
        if self.view.state != "running":
            return
        self.view = replace(self.view, state="stopping")
        self._let_go()
        killer = threading.Timer(GRACE, self._process.kill)
        killer.daemon = True
        killer.start()

    def wait(self) -> None:
        """Return once the process has ended and all it said was heard."""
        self._reader.join(GRACE + 10)

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                told = json.loads(line)
                with self._lock:
                    self._hear(told)
        status = self._process.wait()
        with self._lock:
            self.view = self._over(status)
            self._let_go()
            self._stderr.close()
        self._ended(self.view)

    def _let_go(self) -> None:
        with suppress(OSError):
            self._stdin.close()

    def _hear(self, told: Mapping[str, Any]) -> None:
        if "task" in told:
            number = int(told["task"])
            if told.get("over"):
                self._tasks.pop(number, None)
            else:
                self._tasks[number] = {name: told[name] for name in ("text", "done", "total", "unit")}
            self.view = replace(self.view, tasks=tuple(self._tasks.values()))
        elif "note" in told:
            note = {"text": told["note"], "warning": bool(told.get("warning"))}
            self.view = replace(self.view, notes=(*self.view.notes, note)[-MOST_NOTES:])
        else:
            self._told = told

    def _over(self, status: int) -> JobView:
        """How it ended, by what it told last, or by its status where it told nothing."""
        end = replace(self.view, tasks=(), ended_at=_now())
        if "found" in self._told:
            return replace(end, state="done", found=self._told["found"])
        if "message" in self._told:
            return replace(end, state="failed", message=self._told["message"], hint=self._told["hint"])
        if "stopped" in self._told or self.view.state == "stopping":
            return replace(end, state="stopped")
        self._stderr.seek(0)
        last = self._stderr.read().strip().splitlines()[-1:] or [f"status {status}"]
        return replace(
            end,
            state="failed",
            message=f"{self.view.kind} ended without a word: {last[0][:500]}",
            hint='"emolab doctor" says what works here; the same step typed in a terminal says more.',
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
