"""A candidate that answers a share of the requests unseen: what it would have said beside what was said.

Nothing of it reaches a caller. It gets what was just answered, never more than :data:`MOST` pictures at a time: while
it is behind, requests pass it by, and are counted.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from emolab.serving.model_host import Answered, ModelVersion, Pictures

#: Pictures that may wait for the candidate.
MOST = 64
_SECONDS_TO_END = 10.0


@dataclass(slots=True)
class ShadowTally:
    """What two models said about the same faces: ``agreed`` of ``faces``, and how many of each class each of them saw.

    ``unequal`` pictures had other faces for the one than for the other, ``passed`` came while the candidate was behind,
    ``failed`` raised an error.
    """

    pictures: int = 0
    faces: int = 0
    agreed: int = 0
    unequal: int = 0
    passed: int = 0
    failed: int = 0
    serving: Counter[str] = field(default_factory=Counter)
    candidate: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, int | Mapping[str, int]]:
        """Ready for JSON."""
        numbers = {name: getattr(self, name) for name in ("pictures", "faces", "agreed", "unequal", "passed", "failed")}
        return {**numbers, "serving": dict(self.serving), "candidate": dict(self.candidate)}


class Shadow:
    """Lets ``version`` answer about ``share`` of the requests, drawn by ``rng``."""

    def __init__(self, version: ModelVersion, *, share: float, rng: random.Random) -> None:
        self.version, self.share = version, share
        self._rng = rng
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._lock = threading.Condition()
        self._waiting = 0
        self._tallies: dict[str, ShadowTally] = {}
        #: Told the candidate's id, and how many faces of a picture the two agreed about and not.
        self.on_compared: Callable[[str, int, int], object] | None = None

    def __call__(self, pictures: Pictures, answered: Answered) -> None:
        """Take part in what was answered, if the lot falls on it. Returns at once."""
        with self._lock:
            if self._rng.random() >= self.share:
                return
            tally = self._tallies.setdefault(answered.version.id, ShadowTally())
            if self._waiting + len(pictures) > MOST:
                tally.passed += len(pictures)
                return
            self._waiting += len(pictures)
        future = self.version.submit(pictures, self._pool)
        future.add_done_callback(lambda done: self._compare(len(pictures), answered, done))

    def take(self) -> dict[str, ShadowTally]:
        """The tallies since the last call, by the id of the model that answered."""
        with self._lock:
            found, self._tallies = self._tallies, {}
        return found

    def close(self) -> None:
        """Finish what is under way, within a few seconds, then stop."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting == 0, timeout=_SECONDS_TO_END)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.version.retire()
        self.version.join(_SECONDS_TO_END)

    def _compare(self, n: int, answered: Answered, done: Future[Answered]) -> None:
        with self._lock:
            self._waiting -= n
            self._lock.notify_all()
            tally = self._tallies.setdefault(answered.version.id, ShadowTally())
            if done.cancelled() or done.exception() is not None:
                tally.failed += n
                return
            for ours, theirs in zip(answered.answers, done.result().answers, strict=True):
                tally.pictures += 1
                tally.serving.update(face.label for face in ours.faces)
                tally.candidate.update(face.label for face in theirs.faces)
                if [face.place for face in ours.faces] != [face.place for face in theirs.faces]:
                    tally.unequal += 1
                    continue
                tally.faces += len(ours.faces)
                same = sum(a.label == b.label for a, b in zip(ours.faces, theirs.faces, strict=True))
                tally.agreed += same
                if self.on_compared is not None:
                    self.on_compared(self.version.id, same, len(ours.faces) - same)
