"""Push and pull killed at random instants: what is lost or doubled in Label Studio and in the ledger afterwards.

Each run starts a push (or a pull) in a process of its own, which tells when it begins, when each request leaves and
when each answer arrives. It dies by SIGKILL after one of these moments, all of them in turn, by a part of the time that
passed until the next one in an undisturbed run. Runs that had ended before are repeated. When all are over, one
more push (or pull) has to leave every sample with exactly one task and every answer with exactly one vote.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import multiprocessing
import os
import re
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmarks.harness import Result, main
from emolab.catalog import samples, votes
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.relearn import relearn
from emolab.records import Sample
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CLASSES = PRESETS["ferplus8"]
#: A server that runs already, to leave out its start: these two, as for emolab itself.
URL, TOKEN = "LABEL_STUDIO_URL", "EMOLAB_STUDIO_TOKEN"
_PRELOAD = (
    "numpy",
    "PIL.Image",
    "label_studio_sdk",
    "emolab.labeling.sync.pull",
    "emolab.labeling.sync.push",
    "emolab.loop.label.relearn",
    "emolab.labeling.server.embedded",
)
_CONTEXT = multiprocessing.get_context("forkserver")
_PATIENCE = 120.0  # seconds after which a run that says nothing is given up
_BEGIN, _END = "begin", "end"
Action = Callable[[Workspace, Studio], object]


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
    """``killed`` of ``runs`` were ended in the middle; the rest had finished. What was lost or doubled must be 0.

    ``altered`` votes hold other labels than the answer on the server: it must be 0 too.
    ``where`` counts the kills by the last thing that the process had told: ``POST /api/projects/N/import sent``.
    """

    runs: int
    killed: int
    expected: int
    lost: int
    doubled: int
    where: Counter[str] = field(default_factory=Counter)
    altered: int = 0


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
    workspace: Workspace, studio: Studio, *, token: str, kills: int, rng: np.random.Generator, per_run: int = 5
) -> Outcome:
    """Kill pushes of ``per_run`` new samples each, then push and pull once more and count tasks per sample."""

    def more() -> None:
        add_pictures(workspace, per_run, rng=rng)

    runs, where = _kill_often(_push, workspace.root, studio.url, token, kills=kills, more=more, rng=rng)
    push(workspace, studio)
    pull(workspace, studio)  # takes away what a killed request may have made after that
    there = _tasks(workspace, studio)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        wanted = {sample.id for sample in samples.iterate(conn)}
    doubled = sum(n - 1 for n in there.values())
    return Outcome(runs, where.total(), len(wanted), len(wanted - there.keys()), doubled, where)


def kill_pulls(
    workspace: Workspace, studio: Studio, *, token: str, kills: int, rng: np.random.Generator, per_run: int = 2
) -> Outcome:
    """Kill pulls with ``per_run`` new answers each, then pull once more and compare the ledger.

    Where the settings let an answer hold several labels, every third has one, every third two, every third three.
    """
    title = workspace.config.labeling.project
    project = studio.find_project(title)
    if project is None:
        push(workspace, studio)
        project = studio.find_project(title)
    assert project is not None
    ids = sorted(studio.list_task_ids(project.id))
    classes, modality = workspace.config.project.classes, workspace.config.project.modality
    pull(workspace, studio)
    given: dict[int, tuple[str, ...]] = {}

    def more() -> None:
        for _ in range(per_run):
            i = len(given)
            wanted = {
                (i + step) % len(classes) for step in range(1 + i % 3 if workspace.config.labeling.several else 1)
            }
            first, *also = (classes[c] for c in sorted(wanted))
            result = controls.answer(first, modality=modality, also=also)
            made = studio.create_annotation(ids[i % len(ids)], result, lead_time=1.0)
            given[made.id] = (first, *also)

    runs, where = _kill_often(_pull, workspace.root, studio.url, token, kills=kills, more=more, rng=rng)
    pull(workspace, studio)
    there = {a.id for page in studio.changed_tasks(project.id) for task in page for a in task.annotations}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = [
            (int(vote.origin.rsplit(":", 1)[1]), vote.labels) for vote in votes.iterate(conn, include_rejected=True)
        ]
    held = Counter(annotation for annotation, _ in found)
    doubled = sum(n - 1 for n in held.values())
    altered = sum(labels != given.get(annotation, labels) for annotation, labels in found)
    return Outcome(runs, where.total(), len(there), len(there - held.keys()), doubled, where, altered)


def kill_relearns(
    workspace: Workspace,
    studio: Studio,
    *,
    token: str,
    kills: int,
    rng: np.random.Generator,
    more: Callable[[], None],
) -> tuple[int, Counter[str]]:
    """Kill pulls that put the queue in a new order; ``more`` looks at what is left and gives the next answers.

    Returns how many runs there were, and the kills by moment.
    """
    return _kill_often(_learn, workspace.root, studio.url, token, kills=kills, more=more, rng=rng)


def _tasks(workspace: Workspace, studio: Studio) -> Counter[str]:
    project = studio.find_project(workspace.config.labeling.project)
    found: Counter[str] = Counter()
    if project is not None:
        for page in studio.changed_tasks(project.id):
            found.update(str(task.uid) for task in page)
    return found


def _kill_often(
    action: Action,
    root: Path,
    url: str,
    token: str,
    *,
    kills: int,
    more: Callable[[], None],
    rng: np.random.Generator,
) -> tuple[int, Counter[str]]:
    """Kill ``action`` that often, each time with something to do (``more`` provides it); runs, and kills by moment."""
    _CONTEXT.set_forkserver_preload(["__main__", *_PRELOAD])
    for _ in range(2):  # the first one also makes the project and starts the fork server
        more()
        told, ended = _watch(action, root, url, token)
        if not ended:
            raise RuntimeError(f"an undisturbed run ended after {told[-1:]}")
    gaps = [later - sooner for (_, sooner), (_, later) in itertools.pairwise(told)]
    runs, where, order = 0, Counter[str](), list[int]()
    while where.total() < kills and runs < 3 * kills:
        order = order or rng.permutation(len(gaps)).tolist()
        moment = order.pop()
        more()
        told, ended = _watch(action, root, url, token, after=moment, pause=float(rng.uniform(0, gaps[moment])))
        runs += 1
        if not ended:
            where[told[-1][0]] += 1
    return runs, where


def _watch(
    action: Action, root: Path, url: str, token: str, *, after: int | None = None, pause: float = 0.0
) -> tuple[list[tuple[str, float]], bool]:
    """Run ``action``, kill it ``pause`` seconds after it told its moment number ``after``.

    Returns what it told, with the times (s), and whether it came to its end.
    """
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_tell, args=(action, root, url, token, theirs))
    process.start()
    theirs.close()
    told: list[tuple[str, float]] = []
    try:
        while ours.poll(_PATIENCE):
            told.append((ours.recv_bytes().decode(), time.perf_counter()))
            if after is not None and len(told) == after + 1:
                time.sleep(pause)
                process.kill()
    except EOFError:  # it has ended, or was killed
        pass
    finally:
        process.kill()
        process.join()
        ours.close()
    if not told or (after is None and process.exitcode != 0):
        raise RuntimeError(f"a run ended with status {process.exitcode} after {told[-1:] or 'nothing'}")
    return told, told[-1][0] == _END


def _tell(action: Action, root: Path, url: str, token: str, pipe: Connection) -> None:
    """Carry out ``action`` and tell through ``pipe`` how far it is."""

    def tell(what: str) -> None:
        pipe.send_bytes(re.sub(r"/\d+", "/N", what).encode())

    with connect(url, token) as studio:
        hooks = studio.http.client.event_hooks
        hooks["request"].append(lambda request: tell(f"{request.method} {request.url.path} sent"))
        hooks["response"].append(lambda answer: tell(f"{answer.request.method} {answer.request.url.path} answered"))
        tell(_BEGIN)
        action(Workspace.open(root), studio)
        tell(_END)


def _push(workspace: Workspace, studio: Studio) -> None:
    push(workspace, studio)


def _pull(workspace: Workspace, studio: Studio) -> None:
    pull(workspace, studio)


def _learn(workspace: Workspace, studio: Studio) -> None:
    pull(workspace, studio)
    relearn(workspace, studio)


def measure(folder: Path, studio: Studio, *, token: str, kills: int) -> list[Result]:
    """Kill so many pushes and so many pulls, and tell what was lost or doubled."""
    workspace = fresh(folder, "kills")
    file = workspace.root / "emolab.toml"
    file.write_text(f'{file.read_text()}\n[labeling]\nproject = "{workspace.config.labeling.project}"\n')
    rng = np.random.default_rng(2)
    pushes = kill_pushes(workspace, studio, token=token, kills=kills, rng=rng)
    pulls = kill_pulls(workspace, studio, token=token, kills=kills, rng=rng)
    results = []
    for what, name, seen in (("tasks", "push", pushes), ("votes", "pull", pulls)):
        waiting = sum(n for moment, n in seen.where.items() if moment.endswith("sent"))
        note = f"at {len(seen.where)} kinds of moments; {waiting} while a request was out, the others between two"
        results += [
            Result(f"{name} killed", seen.killed, "times", n=seen.runs, note=note),
            Result(f"{name} killed: {what} lost", seen.lost, what, n=seen.expected),
            Result(f"{name} killed: {what} doubled", seen.doubled, what, n=seen.expected),
        ]
    return results


def run(quick: bool) -> list[Result]:
    """Kill 120 pushes and 120 pulls, or 7 of each with ``quick``."""
    with (
        server() as (url, token, _),
        tempfile.TemporaryDirectory(prefix="emolab-kills-") as folder,
        connect(url, token) as studio,
    ):
        return measure(Path(folder), studio, token=token, kills=7 if quick else 120)


if __name__ == "__main__":
    main(run)
