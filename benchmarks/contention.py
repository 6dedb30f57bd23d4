"""Five people answer while a push runs: requests refused or carried out twice, and how long an answer takes.

It runs on the embedded server and, for comparison, on Label Studio with its own settings, on copies of one database.
Each person fetches the next task, keeps a draft, submits, sometimes changes the answer or skips. What the server holds
afterwards is compared with what it confirmed.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.harness import Result, main
from benchmarks.kills import CLASSES, add_pictures, fresh
from emolab.errors import ServerError
from emolab.labeling.form import controls
from emolab.labeling.label_studio.accounts import create_annotator
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server import daemon, installation
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace

PEOPLE = 5
WAITING = 60  # tasks in the queue before the push under watch begins
_LOCKED = ("OperationalError: database is locked", "OperationalError: the database stayed busy")
_BUDGET = 900.0  # seconds after which a server that does not answer any more is given up


@dataclass
class Seen:
    """What the clients saw: the answers that were confirmed, requests that failed, seconds that each kind took."""

    confirmed: set[int] = field(default_factory=set)
    unsure: int = 0  # answers of which the server said neither yes nor no
    failed: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``locked``: refusals in the log. ``doubled``: answers and tasks beyond what was sent; ``lost``: fewer."""

    locked: int
    failed: int
    doubled: int
    lost: int
    answers: int
    push_seconds: float
    answer_seconds: list[float]
    next_seconds: list[float]


def work_together(folder: Path, url: str, token: str, log: Path, *, tasks: int, people: int = PEOPLE) -> Outcome:
    """Let ``people`` answer while ``tasks`` new samples are pushed, and compare the server with what it confirmed."""
    workspace = fresh(folder, f"together-{uuid.uuid4().hex[:4]}")
    rng = np.random.default_rng(0)
    with connect(url, token, timeout=_BUDGET) as admin, contextlib.ExitStack() as stack:
        add_pictures(workspace, WAITING, rng=rng)
        push(workspace, admin, everything=True, overlap=3)
        project = admin.find_project(workspace.config.labeling.project)
        assert project is not None
        team = [_account(admin) for _ in range(people)]
        seats = [stack.enter_context(connect(url, token, timeout=_BUDGET)) for token in team]
        add_pictures(workspace, tasks, rng=rng)
        start = log.stat().st_size
        seen, pushed = [Seen() for _ in seats], threading.Event()
        threads = [
            threading.Thread(target=_sit, args=(seat, project.id, mine, pushed, turn))
            for turn, (seat, mine) in enumerate(zip(seats, seen, strict=True))
        ]
        for thread in threads:
            thread.start()
        began = time.perf_counter()
        try:
            push(workspace, admin, everything=True)
            took = time.perf_counter() - began
        finally:
            pushed.set()
            for thread in threads:
                thread.join()
        confirmed = {number for mine in seen for number in mine.confirmed}
        there, carriers = set[int](), Counter[str]()
        for page in admin.changed_tasks(project.id):
            carriers.update(str(task.uid) for task in page)
            there |= {answer.id for task in page for answer in task.annotations}
        admin.delete_project(project.id)
    surplus = max(0, len(there - confirmed) - sum(mine.unsure for mine in seen))
    return Outcome(
        locked=_count(log, start),
        failed=sum(mine.failed.total() for mine in seen),
        doubled=surplus + sum(n - 1 for n in carriers.values()),
        lost=len(confirmed - there) + tasks + WAITING - len(carriers),
        answers=len(confirmed),
        push_seconds=took,
        answer_seconds=[s for mine in seen for s in mine.seconds.get("answer", [])],
        next_seconds=[s for mine in seen for s in mine.seconds.get("next", [])],
    )


def _account(admin: Studio) -> str:
    return create_annotator(admin, f"{uuid.uuid4().hex[:12]}@team.example", uuid.uuid4().hex)


def _sit(studio: Studio, project: int, seen: Seen, pushed: threading.Event, turn: int) -> None:
    """Answer what the queue shows until the push has ended; without a break, so as to be in the way."""
    rng = np.random.default_rng(turn + 1)
    while not pushed.is_set():
        with _noted(seen, "next"):
            task = studio.next_task(project)
            if task is None:
                time.sleep(0.05)
                continue
            with _noted(seen, "draft"):
                draft = {"result": controls.answer(str(rng.choice(CLASSES))), "lead_time": 1.0}
                studio.http.call("POST", f"/api/tasks/{task.id}/drafts?project={project}", json=draft)
            skipped = bool(rng.random() < 0.1)
            said = [] if skipped else controls.answer(str(rng.choice(CLASSES)))
            with _noted(seen, "answer"):
                made = studio.create_annotation(task.id, said, lead_time=2.0, was_cancelled=skipped)
                seen.confirmed.add(made.id)
            if not skipped and rng.random() < 0.3:
                with _noted(seen, "update"):
                    studio.update_annotation(made.id, result=controls.answer(str(rng.choice(CLASSES))))


@contextlib.contextmanager
def _noted(seen: Seen, what: str) -> Iterator[None]:
    """Note how long a request took; one that fails is counted, and the person goes on with the next task."""
    began = time.perf_counter()
    try:
        yield
        seen.seconds.setdefault(what, []).append(time.perf_counter() - began)
    except ServerError as error:
        seen.failed[what] += 1
        seen.unsure += what == "answer" and error.outcome_unknown


def _count(log: Path, start: int) -> int:
    """How often a request found the database locked."""
    with log.open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode("utf-8", errors="replace")
    return sum(text.count(words) for words in _LOCKED)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[dict[str, tuple[str, str, Path]]]:
    """Yield URL, token and log of the embedded server, and of the same program with its own settings."""
    embedded = EmbeddedServer(Workspace.init(folder / "embedded", classes=CLASSES))
    started = embedded.start(port=daemon.free_port(), timeout=900)
    ours = (started.server.url, embedded.token(), embedded.log)
    own, port, log = folder / "own", daemon.free_port(), folder / "own.log"
    embedded.stop(grace=5.0)
    shutil.copytree(embedded.folder, own)
    env = installation.environment(own)
    for name in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH"):
        del env[name]
    command = [
        installation.find_program(),
        "start",
        "--no-browser",
        "--internal-host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    try:
        embedded.start(port=started.server.port, timeout=900)
        with log.open("wb") as stream:
            process = subprocess.Popen(command, env=env, cwd=own, stdout=stream, stderr=stream)
        try:
            with connect(f"http://127.0.0.1:{port}", embedded.token()) as studio:
                _until_up(studio, process)
            yield {"embedded": ours, "own settings": (f"http://127.0.0.1:{port}", embedded.token(), log)}
        finally:
            process.kill()
            process.wait()
    finally:
        embedded.stop(grace=2.0)


def _until_up(studio: Studio, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while True:
        try:
            studio.version()
        except ServerError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.3)
        else:
            return


def run(quick: bool) -> list[Result]:
    """A push of 2,000 with five people at work, on both; with ``quick`` 120 and on the embedded server only."""
    tasks = 120 if quick else 2000
    results = []
    with tempfile.TemporaryDirectory(prefix="emolab-contention-") as name:
        folder = Path(name)
        with servers(folder) as both:
            for what, (url, token, log) in both.items():
                if quick and what != "embedded":
                    continue
                results += _rows(what, work_together(folder, url, token, log, tasks=tasks), tasks)
    return results


def _rows(what: str, seen: Outcome, tasks: int) -> list[Result]:
    note = f"{PEOPLE} people without a break, {seen.answers} answers confirmed, a push of {tasks:,}"
    rows = [
        Result(f"{what}: database is locked", seen.locked, "times", n=seen.answers, note=f"{note}; goal: 0"),
        Result(f"{what}: requests that failed", seen.failed, "requests", n=seen.answers),
        Result(f"{what}: answers and tasks doubled", seen.doubled, "times", n=seen.answers + tasks, note="goal: 0"),
        Result(f"{what}: answers and tasks lost", seen.lost, "times", n=seen.answers + tasks, note="goal: 0"),
        Result(f"{what}: push, elapsed", seen.push_seconds, "s", n=tasks),
    ]
    for name, seconds in (("answer", seen.answer_seconds), ("next task", seen.next_seconds)):
        late = statistics.quantiles(seconds, n=20)[-1]
        spread = (min(seconds), max(seconds))
        rows += [
            Result(f"{what}: {name}, median", statistics.median(seconds), "s", n=len(seconds), spread=spread),
            Result(f"{what}: {name}, 95 %", late, "s", n=len(seconds)),
        ]
    return rows


if __name__ == "__main__":
    main(run)
