"""Jobs of a server: one at a time, seen by all, stopped as by Ctrl-C, gone with the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emolab.errors import EmolabError
from emolab.loop.operate import job_runner
from emolab.loop.operate.job_runner import JobRequest, JobRunner, JobView
from emolab.workspace import Workspace
from tests.support import job_steps

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ended() -> list[JobView]:
    return []


@pytest.fixture
def jobs(workspace: Workspace, ended: list[JobView], monkeypatch: pytest.MonkeyPatch) -> Iterator[JobRunner]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    made = JobRunner(workspace, ended=ended.append)
    yield made
    made.close()


def asked(step: str, *, name: str = "1", **more: object) -> JobRequest:
    return JobRequest(id=name, kind=step, by="ann", module=job_steps.__name__, step=step, **more)  # type: ignore[arg-type]


def until(done: Callable[[], object], *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def over(jobs: JobRunner) -> JobView:
    until(lambda: jobs.view() is not None and jobs.view().over)  # type: ignore[union-attr]
    found = jobs.view()
    assert found is not None
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_job_gives_what_was_asked_to_be_kept_and_what_it_prints_is_nobodys(
    jobs: JobRunner, workspace: Workspace, ended: list[JobView]
) -> None:
    first = jobs.start(asked("counts", words={"n": 300}, keep=("n", "root")))
    assert (first.state, first.by, first.kind) == ("running", "ann", "counts")
    found = over(jobs)
    assert (found.state, found.found) == ("done", {"n": 300, "root": str(workspace.root)})
    assert [note["text"] for note in found.notes] == ["counted"] and found.tasks == ()
    until(lambda: ended)
    assert ended == [found]
    assert jobs.start(asked("counts", words={"n": 300}, keep=("n",))) == found, "the same wish is the same job"
    assert len(ended) == 1


def test_while_one_runs_no_other_begins_and_all_see_how_far_it_is(jobs: JobRunner, workspace: Workspace) -> None:
    jobs.start(asked("waits"))
    until(lambda: job_steps.begun(workspace))
    until(lambda: [task["text"] for task in jobs.view().tasks] == ["waiting"])  # type: ignore[union-attr]
    with pytest.raises(EmolabError, match="ann has something running"):
        jobs.start(asked("counts", name="2", words={"n": 1}))
    assert jobs.start(asked("waits")).id == "1"
    jobs.stop("another")
    assert jobs.view() is not None and jobs.view().state == "running"  # type: ignore[union-attr]


def test_a_job_is_stopped_as_by_ctrl_c_and_the_next_one_begins(jobs: JobRunner, workspace: Workspace) -> None:
    jobs.start(asked("waits"))
    until(lambda: job_steps.begun(workspace))
    stopping = jobs.stop("1")
    assert stopping is not None and stopping.state == "stopping"
    jobs.stop("1")
    assert over(jobs).state == "stopped" and (workspace.root / "cleaned").exists()
    jobs.start(asked("counts", name="2", words={"n": 1}, keep=("n",)))
    assert over(jobs).found == {"n": 1}
    assert jobs.stop("1") == jobs.view(), "what is over cannot be stopped"


def test_what_takes_no_notice_is_killed(jobs: JobRunner, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "GRACE", 0.5)
    jobs.start(asked("never_ends"))
    until(lambda: job_steps.begun(workspace))
    jobs.stop("1")
    assert over(jobs).state == "stopped"


@pytest.mark.parametrize(
    ("step", "message", "hint"),
    [
        ("refuses", "There is nothing.", "Bring something."),
        ("breaks", "breaks ended without a word: ValueError: a mistake", "emolab doctor"),
        ("dies", "dies ended without a word: status 3", "emolab doctor"),
    ],
)
def test_what_goes_wrong_is_told(jobs: JobRunner, step: str, message: str, hint: str) -> None:
    jobs.start(asked(step))
    found = over(jobs)
    assert (found.state, found.message, found.found) == ("failed", message, None)
    assert hint in str(found.hint)


def test_a_job_ends_with_its_server(jobs: JobRunner, workspace: Workspace) -> None:
    jobs.start(asked("waits"))
    until(lambda: job_steps.begun(workspace))
    pid = job_steps.begun(workspace)
    jobs.close()
    assert pid is not None and not alive(pid) and (workspace.root / "cleaned").exists()
    with pytest.raises(EmolabError, match="ending"):
        jobs.start(asked("counts", name="2", words={"n": 1}))


def test_a_job_ends_cleanly_when_its_server_is_killed(jobs: JobRunner, workspace: Workspace) -> None:
    del jobs  # the environment of its child is wanted
    code = (
        "import sys, time; from pathlib import Path; from emolab.workspace import Workspace\n"
        "from tests.loop.test_job_runner import JobRunner, asked\n"
        "JobRunner(Workspace.open(Path(sys.argv[1]))).start(asked('waits')); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(workspace.root)])
    until(lambda: job_steps.begun(workspace))
    pid = job_steps.begun(workspace)
    server.send_signal(signal.SIGKILL)
    server.wait()
    until(lambda: (workspace.root / "cleaned").exists() and not alive(pid or 0), seconds=30)
