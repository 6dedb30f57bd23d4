"""Dynamic batching: the jobs of many callers are computed together. It knows neither models nor HTTP.

One thread computes. It takes the jobs that are there, up to a largest weight. While it knows of jobs that are on their
way (:meth:`Batcher.announce`), it waits for them, but never longer than ``wait`` after the first job came. So a single
caller never waits, and many callers fill the batches by themselves. A job that is alone may be computed by the thread
that brings it, which saves waking another one; two batches are never computed at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Queued(Generic[Job, Answer]):
    job: Job
    weight: int
    at: float
    future: Future[Answer]


class Batcher(Generic[Job, Answer]):
    """Computes jobs in batches of a total weight of at most ``largest``; a heavier job is a batch of its own.

    ``compute`` gets the jobs of a batch and gives an answer for each. ``wait`` is in seconds; ``on_batch`` is told the
    weight of each batch.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Job]], Sequence[Answer]],
        *,
        largest: int,
        wait: float,
        on_batch: Callable[[int], object] | None = None,
    ) -> None:
        self._compute = compute
        self._largest, self._wait, self._on_batch = largest, wait, on_batch
        self._queue: deque[_Queued[Job, Answer]] = deque()
        self._weight = 0
        self._announced = 0
        self._computing = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def announce(self) -> None:
        """Say that a job is on its way; :meth:`submit` or :meth:`withdraw` must follow."""
        with self._changed:
            self._announced += 1

    def withdraw(self) -> None:
        """Say that an announced job will not come."""
        with self._changed:
            self._announced -= 1
            if self._announced == 0:
                self._changed.notify()

    def submit(self, job: Job, weight: int, *, here: bool = False) -> Future[Answer]:
        """Queue an announced job; its answer, or what ``compute`` raised, comes with the future.

        A future that is cancelled before its batch begins costs nothing. With ``here`` a job that could share a batch
        with no other is computed at once, by the calling thread.
        """
        queued: _Queued[Job, Answer] = _Queued(job, weight, time.monotonic(), Future())
        with self._changed:
            if self._closed:
                raise RuntimeError("this batcher is closed")
            self._announced -= 1
            alone = here and not (self._computing or self._queue or self._announced)
            if alone:
                self._computing = True
            else:
                self._queue.append(queued)
                self._weight += weight
                # It is woken when it has work to begin, not for each job that joins a batch it still waits for.
                begins = len(self._queue) == 1 or self._weight >= self._largest or self._announced == 0
                if begins and not self._computing:
                    self._changed.notify()
        if alone:
            self._answer([queued])
        return queued.future

    def close(self) -> None:
        """Compute what is queued, then stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _answer(self, batch: Sequence[_Queued[Job, Answer]]) -> None:
        """Compute ``batch``, in whichever thread has set :attr:`_computing`; then let the next one be computed."""
        wanted = [queued for queued in batch if queued.future.set_running_or_notify_cancel()]
        try:
            answers = self._computed(wanted) if wanted else []
        finally:
            with self._changed:
                self._computing = False
                self._changed.notify()
        for queued, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, BaseException):
                queued.future.set_exception(answer)
            else:
                queued.future.set_result(answer)

    def _computed(self, batch: Sequence[_Queued[Job, Answer]]) -> Sequence[Answer | BaseException]:
        """The answers, or what was raised instead of them, once for each job."""
        if self._on_batch is not None:
            self._on_batch(sum(queued.weight for queued in batch))
        try:
            answers = self._compute([queued.job for queued in batch])
            if len(answers) != len(batch):
                raise ValueError(f"{len(answers)} answers to {len(batch)} jobs")
        except BaseException as error:  # the callers must hear of it, and the next batch must be computed
            return [error] * len(batch)
        return answers

    def _next(self) -> list[_Queued[Job, Answer]]:
        """The jobs of the next batch; none after :meth:`close`, when all are done."""
        with self._changed:
            while self._computing or not (self._queue or self._closed):
                self._changed.wait()
            if not self._queue:
                return []
            until = self._queue[0].at + self._wait
            while self._weight < self._largest and self._announced > 0 and not self._closed:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            batch = [self._queue.popleft()]
            total = batch[0].weight
            while self._queue and total + self._queue[0].weight <= self._largest:
                batch.append(self._queue.popleft())
                total += batch[-1].weight
            self._weight -= total
            self._computing = True
            return batch
