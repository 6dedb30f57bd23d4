"""Models at work for many callers at once: read in a pool of threads, computed in batches, swapped without a gap.

1. A request's pictures are read (decoded, faces found) in the host's threads.
2. The crops of several requests are computed together (:mod:`emolab.serving.batching`).
3. A request stays with the model version that it began with, so a swap fails none: the old version ends when its last
   request is answered.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emolab.serving.answers import ImageAnswer, Reading
from emolab.serving.batching import Batcher
from emolab.serving.predictor import BasePredictor

logger = logging.getLogger("emolab.serving")

#: Pictures of one request that one thread reads in a row; more are shared among the threads.
TOGETHER = 8
#: Within which a last batch should be computed when the server ends.
_SECONDS_TO_END = 30.0

Pictures = Sequence[tuple[str, bytes]]


class TooManyFaces(Exception):
    """The pictures of one request hold ``found`` faces, more than ``most``."""

    def __init__(self, found: int, most: int) -> None:
        super().__init__(f"{found} faces; at most {most}")
        self.found, self.most = found, most


@dataclass(frozen=True, kw_only=True)
class Batching:
    """``largest`` crops of a batch; ``wait`` seconds for more; ``at_once`` batches that may be computed together;
    ``faces`` that one request may hold at most.
    """

    largest: int = 32
    wait: float = 0.005
    at_once: int = 1
    faces: int = 256


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What ``version`` says about the pictures of one request, in order."""

    version: ModelVersion
    answers: tuple[ImageAnswer, ...]


@dataclass(eq=False, kw_only=True)
class ModelVersion:
    """One model at work: ``name`` is what it was asked for by, ``card`` its model card in Markdown."""

    predictor: BasePredictor
    name: str
    card: str = ""
    loaded_at: float = field(default_factory=time.time)
    batching: Batching = Batching()
    on_batch: Callable[[str, int], object] | None = None
    _uses: int = field(default=0, init=False, repr=False)
    _retired: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._batcher: Batcher[tuple[Reading, ...], list[NDArray[np.float32]]] = Batcher(
            self._compute,
            largest=self.batching.largest,
            wait=self.batching.wait,
            at_once=self.batching.at_once,
            on_batch=self._tell,
        )

    @property
    def id(self) -> str:
        """The model's id."""
        return self.predictor.model.id

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        return self.predictor.model.classes

    def warm_up(self) -> None:
        """Compute batches of the sizes to come, so that the first caller does not pay for what an engine sets up."""
        self.predictor.warm_up()

    def submit(self, pictures: Pictures, pool: ThreadPoolExecutor) -> Future[Answered]:
        """The answers to ``pictures``, read in ``pool``. Cancelling the future stops what has not begun."""
        return _Request(self, pictures, pool).future

    def begin(self) -> bool:
        """Count one more request; ``False`` where this version has been retired."""
        with self._lock:
            if self._retired:
                return False
            self._uses += 1
            return True

    def end(self) -> None:
        """Count one request less."""
        with self._lock:
            self._uses -= 1
            last = self._retired and self._uses == 0
        if last:
            self._stop()

    def retire(self) -> None:
        """Take no new requests; stop when those under way are answered."""
        with self._lock:
            if self._retired:
                return
            self._retired = True
            idle = self._uses == 0
        if idle:
            self._stop()

    def join(self, seconds: float) -> None:
        """Wait until a retired version has stopped: a process must not end while an engine computes."""
        self._stopped.wait(seconds)

    def _tell(self, weight: int) -> None:
        if self.on_batch is not None:
            self.on_batch(self.id, weight)

    def _stop(self) -> None:
        # A thread of its own: the last request may end in the batcher's thread, which cannot wait for itself.
        threading.Thread(target=self._close, name="retire", daemon=True).start()

    def _close(self) -> None:
        self._batcher.close()
        self._stopped.set()

    def _compute(self, jobs: Sequence[tuple[Reading, ...]]) -> list[list[NDArray[np.float32]]]:
        """Probabilities of all crops of several requests, for each request a list with one array a reading."""
        found = iter(self.predictor.probabilities([reading for job in jobs for reading in job]))
        return [[next(found) for _ in job] for job in jobs]


class _Request:
    """One request on its way: its pictures are read in parts; the last part to be read queues them."""

    def __init__(self, version: ModelVersion, pictures: Pictures, pool: ThreadPoolExecutor) -> None:
        self.version = version
        self.future: Future[Answered] = Future()
        self._readings: list[Reading | None] = [None] * len(pictures)
        starts = range(0, len(pictures), TOGETHER)
        self._left = len(starts)
        self._lock = threading.Lock()
        version._batcher.announce()
        for start in starts:
            pool.submit(self._read, start, pictures[start : start + TOGETHER])

    def _read(self, start: int, pictures: Pictures) -> None:
        try:
            for place, (name, data) in enumerate(pictures, start=start):
                if self.future.done():  # cancelled, or another part failed
                    break
                self._readings[place] = self.version.predictor.read(name, data)
        except BaseException as error:
            self._fail(error)
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._queue()

    def _queue(self) -> None:
        batcher = self.version._batcher
        readings = tuple(reading for reading in self._readings if reading is not None)
        crops = sum(len(reading.crops) for reading in readings)
        most = self.version.batching.faces
        if crops > most:
            self._fail(TooManyFaces(crops, most))
        if self.future.done():
            batcher.withdraw()
        elif crops == 0:
            batcher.withdraw()
            none = np.empty((0, len(self.version.classes)), np.float32)
            self._answer(readings, [none] * len(readings))
        else:
            computed = batcher.submit(readings, crops, here=True)
            computed.add_done_callback(lambda done: self._computed(readings, done))
            # a caller that gives up takes its crops out of the queue
            self.future.add_done_callback(lambda done: computed.cancel() if done.cancelled() else None)

    def _computed(self, readings: tuple[Reading, ...], done: Future[list[NDArray[np.float32]]]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._fail(error)
        else:
            self._answer(readings, done.result())

    def _answer(self, readings: tuple[Reading, ...], probs: Sequence[NDArray[np.float32]]) -> None:
        answer = self.version.predictor.answer
        found = tuple(answer(reading, rows) for reading, rows in zip(readings, probs, strict=True))
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(Answered(version=self.version, answers=found))

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if not self.future.done() and self.future.set_running_or_notify_cancel():
                self.future.set_exception(error)


class ModelHost:
    """The version that answers now, and the threads that read pictures for it.

    ``on_batch`` is told the id of the model and the weight of each batch.
    """

    def __init__(self, version: ModelVersion, *, readers: int = 2) -> None:
        self.on_batch: Callable[[str, int], object] | None = None
        self.version = self._adopted(version)
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._listeners: list[Callable[[Pictures, Answered], object]] = []

    def submit(self, pictures: Pictures) -> Future[Answered]:
        """The answers of the version that is current now."""
        version = self.version
        while not version.begin():  # swapped in this very moment
            version = self.version
        future = version.submit(pictures, self._pool)
        future.add_done_callback(lambda _: version.end())
        for listener in self._listeners:
            future.add_done_callback(lambda done, told=listener: self._tell(told, pictures, done))  # type: ignore[misc]
        return future

    def swap(self, version: ModelVersion) -> ModelVersion:
        """Let ``version`` answer from now on; the one before, which ends when its requests are answered."""
        before, self.version = self.version, self._adopted(version)
        if before is not version:
            before.retire()
        return before

    def listen(self, listener: Callable[[Pictures, Answered], object]) -> None:
        """Call ``listener`` with the pictures and answers of every request; it must return at once."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Answer what is under way, then stop."""
        self._pool.shutdown(wait=True)
        self.version.retire()
        self.version.join(_SECONDS_TO_END)

    def _adopted(self, version: ModelVersion) -> ModelVersion:
        version.on_batch = lambda model, weight: None if self.on_batch is None else self.on_batch(model, weight)
        return version

    @staticmethod
    def _tell(listener: Callable[[Pictures, Answered], object], pictures: Pictures, done: Future[Answered]) -> None:
        if not done.cancelled() and done.exception() is None:
            try:
                listener(pictures, done.result())
            except Exception:  # a listener is never the caller's trouble
                logger.exception("a listener failed")
