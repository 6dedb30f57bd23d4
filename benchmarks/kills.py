"""Push and pull killed at random instants: what is lost or doubled in Label Studio and in the ledger afterwards.

Each run starts a push (or a pull) in a process of its own and ends it with SIGKILL at an instant drawn evenly from
zero to twice what an undisturbed one takes. When all runs are over, one more push (or pull) has to leave every
sample with exactly one task and every answer with exactly one vote.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness import Result, main
from emolab.catalog import samples, votes
from emolab.labeling import form
from emolab.labeling.pull import pull
from emolab.labeling.push import push
from emolab.labeling.server import EmbeddedServer
from emolab.labeling.studio import Studio, connect
from emolab.records import Sample
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace

CLASSES = PRESETS["ferplus8"]
#: A server that runs already, to leave out its start: these two, as for emolab itself.
URL, TOKEN = "LABEL_STUDIO_URL", "EMOLAB_STUDIO_TOKEN"
_PRELOAD = (
    "numpy",
    "PIL.Image",
    "label_studio_sdk",
    "emolab.labeling.pull",
    "emolab.labeling.push",
    "emolab.labeling.server",
)
_CONTEXT = multiprocessing.get_context("forkserver")


@contextmanager
def server() -> Iterator[tuple[str, str, str]]:
    """Yield URL and token of the server named by the environment, or of one started for the occasion, and its start."""
    if os.environ.get(URL) and os.environ.get(TOKEN):
        yield os.environ[URL], os.environ[TOKEN], "a server that ran already"
        return
    with tempfile.TemporaryDirectory(prefix="emolab-sync-") as folder:
        embedded = EmbeddedServer(Workspace.init(Path(folder) / "studio", classes=CLASSES))
        started = time.perf_counter()
        address = embedded.start(timeout=400).server.url
        try:
            yield address, embedded.token(), f"server start {time.perf_counter() - started:.0f} s, left out"
        finally:
            embedded.stop(grace=2.0)


def fresh(folder: Path, name: str) -> Workspace:
    """A workspace with a project name of its own."""
    workspace = Workspace.init(folder / name, classes=CLASSES)
    title = f"bench {name} {uuid.uuid4().hex[:8]}"
    return Workspace(
        workspace.root, replace(workspace.config, labeling=replace(workspace.config.labeling, project=title))
    )


@dataclass(frozen=True)
class Outcome:
    """``killed`` of ``runs`` were ended in the middle; the rest had finished. What was lost or doubled must be 0."""

    runs: int
    killed: int
    expected: int
    lost: int
    doubled: int


def add_pictures(workspace: Workspace, n: int, *, rng: np.random.Generator, size: int = 48, kind: str = "PNG") -> None:
    """Put ``n`` random pictures of ``size`` pixels per side into a workspace."""
    made = []
    for _ in range(n):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(stream, kind, quality=90)
        data = stream.getvalue()
        name = hashlib.sha256(data).hexdigest()
        path = workspace.media / name[:2] / f"{name}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made.append(Sample(id=name, media=str(path.relative_to(workspace.root)), width=size, height=size))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)


def kill_pushes(
    workspace: Workspace, studio: Studio, *, token: str, runs: int, rng: np.random.Generator, per_run: int = 5
) -> Outcome:
    """Kill ``runs`` pushes of ``per_run`` new samples each, then push and pull once more and count tasks per sample."""
    span = _span(_push, workspace.root, studio.url, token, lambda: add_pictures(workspace, per_run, rng=rng))
    killed = 0
    for _ in range(runs):
        add_pictures(workspace, per_run, rng=rng)
        killed += _kill(_push, workspace.root, studio.url, token, after=float(rng.uniform(0, 2.0 * span)))
    push(workspace, studio)
    pull(workspace, studio)  # takes away what a killed request may have made after that
    there = _tasks(workspace, studio)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        wanted = {sample.id for sample in samples.iterate(conn)}
    doubled = sum(n - 1 for n in there.values())
    return Outcome(runs, killed, len(wanted), len(wanted - there.keys()), doubled)


def kill_pulls(
    workspace: Workspace, studio: Studio, *, token: str, runs: int, rng: np.random.Generator, per_run: int = 2
) -> Outcome:
    """Kill ``runs`` pulls with ``per_run`` new answers each, then pull once more and compare the ledger."""
    title = workspace.config.labeling.project
    project = studio.find_project(title)
    if project is None:
        push(workspace, studio)
        project = studio.find_project(title)
    assert project is not None
    ids = sorted(studio.list_task_ids(project.id))
    classes = workspace.config.project.classes
    pull(workspace, studio)
    given = 0

    def answer() -> None:
        nonlocal given
        for _ in range(per_run):
            studio.create_annotation(ids[given % len(ids)], form.answer(classes[given % len(classes)]), lead_time=1.0)
            given += 1

    span = _span(_pull, workspace.root, studio.url, token, answer)
    killed = 0
    for _ in range(runs):
        answer()
        killed += _kill(_pull, workspace.root, studio.url, token, after=float(rng.uniform(0, 2.0 * span)))
    pull(workspace, studio)
    there = {a.id for page in studio.changed_tasks(project.id) for task in page for a in task.annotations}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        held = Counter(int(vote.origin.rsplit(":", 1)[1]) for vote in votes.iterate(conn, include_rejected=True))
    return Outcome(runs, killed, len(there), len(there - held.keys()), sum(n - 1 for n in held.values()))


def _tasks(workspace: Workspace, studio: Studio) -> Counter[str]:
    project = studio.find_project(workspace.config.labeling.project)
    found: Counter[str] = Counter()
    if project is not None:
        for page in studio.changed_tasks(project.id):
            found.update(str(task.uid) for task in page)
    return found


def _span(
    action: Callable[[Path, str, str], None], root: Path, url: str, token: str, more: Callable[[], None]
) -> float:
    """Seconds that an undisturbed process takes, with something to do (``more`` provides it)."""
    _CONTEXT.set_forkserver_preload(["__main__", *_PRELOAD])
    for _ in range(2):  # the first one also makes the project and starts the fork server
        more()
        process = _CONTEXT.Process(target=action, args=(root, url, token))
        started = time.perf_counter()
        process.start()
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"an undisturbed run ended with status {process.exitcode}")
    return time.perf_counter() - started


def _kill(action: Callable[[Path, str, str], None], root: Path, url: str, token: str, *, after: float) -> bool:
    """Start ``action`` and kill it ``after`` seconds; tell whether it was still running then."""
    process = _CONTEXT.Process(target=action, args=(root, url, token))
    process.start()
    process.join(timeout=after)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def _push(root: Path, url: str, token: str) -> None:
    with connect(url, token) as studio:
        push(Workspace.open(root), studio)


def _pull(root: Path, url: str, token: str) -> None:
    with connect(url, token) as studio:
        pull(Workspace.open(root), studio)


def measure(folder: Path, studio: Studio, *, token: str, runs: int) -> list[Result]:
    """Kill half of ``runs`` while pushing, half while pulling, and tell what was lost or doubled."""
    workspace = fresh(folder, "kills")
    file = workspace.root / "emolab.toml"
    file.write_text(f'{file.read_text()}\n[labeling]\nproject = "{workspace.config.labeling.project}"\n')
    rng = np.random.default_rng(2)
    pushes = kill_pushes(workspace, studio, token=token, runs=(runs + 1) // 2, rng=rng)
    pulls = kill_pulls(workspace, studio, token=token, runs=runs // 2, rng=rng)
    results = []
    for what, name, seen in (("tasks", "push", pushes), ("votes", "pull", pulls)):
        note = f"{seen.runs} runs, {seen.killed} of them died by SIGKILL, the others had ended"
        results += [
            Result(f"{name} killed: {what} lost", seen.lost, what, n=seen.expected, note=note),
            Result(f"{name} killed: {what} doubled", seen.doubled, what, n=seen.expected, note=note),
        ]
    return results


def run(quick: bool) -> list[Result]:
    """Kill 240 times, or 14 times with ``quick``."""
    with (
        server() as (url, token, _),
        tempfile.TemporaryDirectory(prefix="emolab-kills-") as folder,
        connect(url, token) as studio,
    ):
        return measure(Path(folder), studio, token=token, runs=14 if quick else 240)


if __name__ == "__main__":
    main(run)
