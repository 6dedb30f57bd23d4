"""Killing push and pull at random instants: what is left in Label Studio and in the ledger afterwards.

Each run starts a push (or a pull) in a process of its own and ends it with SIGKILL at an instant drawn evenly from
zero to a little more than an undisturbed one takes. When all runs are over, one more push (or pull) has to leave every
sample with exactly one task and every answer with exactly one vote.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from emolab.catalog import samples, votes
from emolab.labeling import form
from emolab.labeling.pull import pull
from emolab.labeling.push import push
from emolab.labeling.studio import Studio, connect
from emolab.records import Sample
from emolab.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTEXT = multiprocessing.get_context("forkserver")


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
    workspace: Workspace, studio: Studio, *, token: str, runs: int, rng: np.random.Generator, per_run: int = 12
) -> Outcome:
    """Kill ``runs`` pushes of ``per_run`` new samples each, then push once more and count tasks per sample."""
    add_pictures(workspace, per_run, rng=rng)
    span = _span(_push, workspace.root, studio.url, token)
    killed = 0
    for _ in range(runs):
        add_pictures(workspace, per_run, rng=rng)
        killed += _kill(_push, workspace.root, studio.url, token, after=float(rng.uniform(0, 1.1 * span)))
    push(workspace, studio)
    there = _tasks(workspace, studio)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        wanted = {sample.id for sample in samples.iterate(conn)}
    doubled = sum(n - 1 for n in there.values())
    return Outcome(runs, killed, len(wanted), len(wanted - there.keys()), doubled)


def kill_pulls(
    workspace: Workspace, studio: Studio, *, token: str, runs: int, rng: np.random.Generator, per_run: int = 6
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

    answer()
    span = _span(_pull, workspace.root, studio.url, token)
    killed = 0
    for _ in range(runs):
        answer()
        killed += _kill(_pull, workspace.root, studio.url, token, after=float(rng.uniform(0, 1.1 * span)))
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


def _span(action: Callable[[Path, str, str], None], root: Path, url: str, token: str) -> float:
    """Seconds that an undisturbed process takes."""
    _CONTEXT.set_forkserver_preload(["benchmarks.kills", "label_studio_sdk"])
    action(root, url, token)  # the first one also makes the project
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
