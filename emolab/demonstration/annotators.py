"""A simulated team: annotators of different reliability who answer through the real Label Studio, each as a user.

An annotator is a way of answering given what people in general would answer (a distribution over classes and meta
labels). The answer depends on the annotator and the sample only, so asking again gives the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import ServerError
from emolab.labeling.form import controls
from emolab.progress import SILENT, Progress, Task
from emolab.taxonomy import META

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteTask


@dataclass(frozen=True, kw_only=True)
class Annotator:
    """How one person answers.

    ``sharpness`` is the exponent on the distribution of answers: 1 draws like the crowd, more is more decided. With
    probability ``bias[class]`` an answer is replaced by that class; with probability ``noise`` by any class.
    ``skips`` is the share of faces passed over, ``seconds`` the median time for one answer.
    """

    name: str
    character: str
    sharpness: float = 1.0
    bias: Mapping[str, float] | None = None
    noise: float = 0.0
    skips: float = 0.0
    seconds: float = 2.5


#: Five people as a team may have them.
TEAM = (
    Annotator(name="ada", character="careful", sharpness=2.5, seconds=3.4),
    Annotator(name="ben", character="average", sharpness=1.2, skips=0.01),
    Annotator(name="chloe", character="average", sharpness=1.0, seconds=2.1),
    Annotator(name="dev", character="says neutral when unsure", bias={"neutral": 0.3}, skips=0.02, seconds=1.8),
    Annotator(name="eli", character="clicks in a hurry", noise=0.35, seconds=0.9),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """``label`` is a class, a meta label or ``None`` for a skip; ``seconds`` is the time it took."""

    label: str | None
    seconds: float


def answer(annotator: Annotator, sample_id: str, crowd: Mapping[str, float]) -> Answer:
    """What ``annotator`` says about a sample for which ``crowd`` maps every possible answer to its share."""
    seed = hashlib.sha256(f"{annotator.name}:{sample_id}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(seed, dtype=np.uint32))
    seconds = float(annotator.seconds * rng.lognormal(0.0, 0.4))
    if rng.random() < annotator.skips:
        return Answer(None, seconds)
    names = list(crowd)
    weights = np.array([crowd[name] for name in names], dtype=float) ** annotator.sharpness
    label = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    classes = [name for name in names if name not in META]
    if classes and rng.random() < annotator.noise:
        label = classes[int(rng.integers(len(classes)))]
    for name, probability in (annotator.bias or {}).items():
        if name in classes and rng.random() < probability:
            label = name
    return Answer(label, seconds)


def answer_queue(
    seats: Sequence[tuple[Annotator, Studio]],
    project: int,
    crowd: Mapping[str, Mapping[str, float]],
    *,
    progress: Progress = SILENT,
    total: int | None = None,
) -> int:
    """Let every annotator answer, through an own client, whatever the project's queue shows; return the answers given.

    All work at the same time, as people would, and come back as long as skipped faces are left for others. A task gets
    the answers it asks for and none beyond. ``crowd`` maps sample ids to distributions of answers. Raises
    :class:`ServerError` when the server fails.
    """
    room = _Room(project, crowd)
    total_given = 0
    with progress.task("The team answers", total, unit="answers") as bar, ThreadPoolExecutor(len(seats)) as pool:
        while True:
            sitting = [pool.submit(room.sit, annotator, studio, bar) for annotator, studio in seats]
            given = sum(future.result() for future in sitting)
            if not given:
                return total_given
            total_given += given


class _Room:
    """The team at work on one project, one person per task at a time.

    Label Studio on SQLite may show the last open place of a task to several people at once: there is no row to lock
    between its look and its promise. Nobody here answers a task that has become full since it was shown.
    """

    def __init__(self, project: int, crowd: Mapping[str, Mapping[str, float]]) -> None:
        self._project = project
        self._crowd = crowd
        self._turn: dict[int, Lock] = {}
        self._answers: dict[int, int] = {}

    def sit(self, annotator: Annotator, studio: Studio, bar: Task) -> int:
        """Answer what the queue shows to one person until it shows nothing; the number of answers."""
        given = 0
        full: set[int] = set()
        while (task := studio.next_task(self._project)) is not None:
            if task.uid is None or task.uid not in self._crowd:
                raise ServerError(f"The queue of project {self._project} shows a task that is not of this team's data.")
            with self._turn.setdefault(task.id, Lock()):
                if self._is_full(task) and task.id not in full:
                    full.add(task.id)  # shown again after this, it was reopened: then it is answered
                    continue
                said = answer(annotator, task.uid, self._crowd[task.uid])
                _give(studio, task, said)
                self._answers[task.id] += said.label is not None
            given += 1
            bar.advance()
        return given

    def _is_full(self, task: RemoteTask) -> bool:
        """Whether the task has all its answers, counted from those it had when the first person saw it."""
        known = self._answers.setdefault(task.id, task.total_annotations or 0)
        return task.overlap is not None and known >= task.overlap


def _give(studio: Studio, task: RemoteTask, said: Answer) -> None:
    result = [] if said.label is None else controls.answer(said.label)
    studio.create_annotation(task.id, result, lead_time=round(said.seconds, 2), was_cancelled=said.label is None)
