"""Dynamic batching: the jobs of many callers are computed together. It knows neither models nor HTTP.

A thread computes. It takes the jobs that are there, up to a largest weight. While it knows of jobs that are on their
way (:meth:`Batcher.announce`), it waits for them, but never longer than ``wait`` after the first job came. So a single
caller never waits, and many callers fill the batches by themselves. A job that is alone may be computed by the thread
that brings it, which saves waking another one. A second batch begins beside another one only when it is full: the
cores of a large model then have work while one of them waits for the other, and no batch is smaller for it.
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

    ``compute`` gets the jobs of a batch and gives an answer for each; it runs ``at_once`` times at most. ``wait`` is in
    seconds; ``on_batch`` is told the weight of each batch.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Job]], Sequence[Answer]],
        *,
        largest: int,
        wait: float,
        at_once: int = 1,
        on_batch: Callable[[int], object] | None = None,
    ) -> None:
        self._compute = compute
        self._largest, self._wait, self._at_once, self._on_batch = largest, wait, at_once, on_batch
        self._queue: deque[_Queued[Job, Answer]] = deque()
        self._weight = 0
        self._announced = 0
        self._computing = 0  # batches
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, name="batcher", daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

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
                self._computing += 1
            else:
                self._queue.append(queued)
                self._weight += weight
                # It is woken when it has work to begin, not for each job that joins a batch it still waits for.
                begins = len(self._queue) == 1 or self._weight >= self._largest or self._announced == 0
                if begins and self._may_begin():
                    self._changed.notify()
        if alone:
            self._answer([queued])
        return queued.future

    def close(self) -> None:
        """Compute what is queued, then stop the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _answer(self, batch: Sequence[_Queued[Job, Answer]]) -> None:
        """Compute ``batch``, in the thread that has counted it in ``_computing``; then let the next one begin."""
        wanted = [queued for queued in batch if queued.future.set_running_or_notify_cancel()]
        try:
            answers = self._computed(wanted) if wanted else []
        finally:
            with self._changed:
                self._computing -= 1
                if self._closed:
                    self._changed.notify_all()
                elif self._queue:
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

    def _may_begin(self) -> bool:
        """Whether a batch of what is queued may begin, as far as the others go that are computed now."""
        full = self._weight >= self._largest
        return bool(self._queue) and (not self._computing or (full and self._computing < self._at_once))

    def _next(self) -> list[_Queued[Job, Answer]]:
        """The jobs of the next batch; none after :meth:`close`, when all are done."""
        with self._changed:
            while not self._may_begin() or not self._is_due():
                if self._closed and not self._queue:
                    return []
                left = self._queue[0].at + self._wait - time.monotonic() if self._may_begin() else None
                self._changed.wait(left)
            batch = [self._queue.popleft()]
            total = batch[0].weight
            while self._queue and total + self._queue[0].weight <= self._largest:
                batch.append(self._queue.popleft())
                total += batch[-1].weight
            self._weight -= total
            self._computing += 1
            if self._may_begin():
                self._changed.notify()
            return batch

    def _is_due(self) -> bool:
        """Whether the next batch waits for no other job: it is full, none is on its way, or the first waited enough."""
        if self._weight >= self._largest or self._announced <= 0 or self._closed:
            return True
        return time.monotonic() >= self._queue[0].at + self._wait
