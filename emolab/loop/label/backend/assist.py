"""A model answers inside Label Studio, task by task, as an ML backend: guesses for open tasks, and pulls after answers.

emolab's own push of stored predictions stays the main way: it is far cheaper and keeps emolab's order of the queue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.serving.answers import ImageAnswer
    from emolab.workspace import Workspace

logger = logging.getLogger("emolab.serving")

#: What is answered for a task that nothing is said about; a result without this key would be skipped.
NOTHING: Mapping[str, Any] = {"result": [], "score": 0.0}
#: Pictures to classify: name and bytes of each; and what is said about them, in order.
Answering = Callable[[list[tuple[str, bytes]]], list["ImageAnswer"]]


@dataclass(frozen=True)
class Assistant:
    """What an ML backend says about the tasks of ``workspace``.

    A task names its sample, whose file is the workspace's own, so nothing is fetched from anywhere. Samples that stay
    blind (``labeling.blind``) get an empty form, as in emolab's own push; what the model says about them goes along
    unseen, so that answers to shown and to hidden guesses can be compared. A form that takes several labels stays empty
    too: a guess that is marked there would be sent along with what a person adds to it.
    """

    workspace: Workspace

    def files(self, tasks: Iterable[Mapping[str, Any]]) -> list[Path | None]:
        """The file of each task's sample; ``None`` where nothing is to be said: unknown, or not emolab's."""
        from emolab.catalog import samples

        ids = [sample_of(task) for task in tasks]
        with self.workspace.catalog() as catalog, catalog.connect() as conn:
            wanted = [one for one in ids if one is not None]
            there = samples.keys(conn, wanted)
            found = samples.by_ids(conn, [one for one in wanted if one in there])
        known = {sample.id: self.workspace.locate(sample.media) for sample in found}
        return [None if one is None else known.get(one) for one in ids]

    def result(
        self, task: Mapping[str, Any], answer: ImageAnswer | None, version: str, *, several: bool = False
    ) -> dict[str, Any]:
        """What Label Studio gets for one task: a guess that says it is one, and how sure it is; or an empty form.

        ``several`` says that the form takes several labels.
        """
        from emolab.labeling.sync.task_payload import prediction, stays_blind
        from emolab.records import FormGuess

        sample_id = sample_of(task)
        if sample_id is None or answer is None or answer.error is not None or not answer.faces:
            return {**NOTHING, "model_version": version}
        config = self.workspace.config
        face, share = answer.faces[0], config.labeling.blind  # the largest
        if several or config.labeling.several or face.label not in config.project.classes:
            return prediction(round(face.confidence, 6), version)
        guess = FormGuess(face.label, not stays_blind(sample_id, share), share)
        return prediction(round(face.confidence, 6), version, guess=guess, modality=config.project.modality)


def sample_of(task: Mapping[str, Any]) -> str | None:
    """The id of the sample that a task carries; ``None`` for a task that is not emolab's."""
    from emolab.labeling.label_studio.tasks import UID

    data = task.get("data") if isinstance(task, dict) else None
    found = data.get(UID) if isinstance(data, dict) else None
    return found if isinstance(found, str) and found else None


@dataclass
class PullSoon:
    """Pulls in the background after answers came in: one pull at a time, and one more where some came meanwhile.

    ``pull`` does it and returns what somebody should look at, which the log tells once; what it raises is one line
    there, and the next webhook tries again.
    """

    pull: Callable[[], Sequence[str]]
    _told: Sequence[str] = ()
    _wanted: threading.Event = field(default_factory=threading.Event)
    _ended: bool = False
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self) -> None:
        """Pull soon; returns at once."""
        with self._lock:
            if self._ended:
                return
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pull", daemon=True)
                self._thread.start()

    def close(self, *, timeout: float = 10.0) -> None:
        """Let a pull that is under way come to its end, and begin no other."""
        with self._lock:
            self._ended = True
            self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        from emolab.errors import EmolabError

        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._ended:
                return
            try:
                found = self.pull()
                for line in found:
                    if line not in self._told:
                        logger.warning("%s", line)
                self._told = found
            except EmolabError as error:
                logger.warning("The answers could not be pulled: %s", error.message)
            except Exception:
                logger.exception("The answers could not be pulled")
