"""Jobs of many callers share batches; nobody waits for jobs that are not on their way."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from emolab.serving.batching import Batcher


def doubling(seen: list[list[int]], gate: threading.Event | None = None):  # type: ignore[no-untyped-def]
    def compute(jobs: Sequence[int]) -> list[int]:
        if gate is not None:
            assert gate.wait(10)
        seen.append(list(jobs))
        return [2 * job for job in jobs]

    return compute


def test_each_job_gets_its_own_answer_and_one_alone_does_not_wait() -> None:
    seen: list[list[int]] = []
    batcher = Batcher(doubling(seen), largest=8, wait=30.0)
    for job in (1, 2):
        batcher.announce()
        assert batcher.submit(job, 1).result(10) == 2 * job
    assert seen == [[1], [2]]
    batcher.close()


def test_jobs_that_come_while_a_batch_is_computed_share_the_next_ones() -> None:
    seen: list[list[int]] = []
    gate = threading.Event()
    batcher = Batcher(doubling(seen, gate), largest=4, wait=0.0)
    batcher.announce()
    first = batcher.submit(0, 1)
    while not first.running():
        time.sleep(0.001)
    for _ in range(6):
        batcher.announce()
    futures = [batcher.submit(job, 1) for job in range(1, 7)]
    gate.set()
    assert [future.result(10) for future in futures] == [2, 4, 6, 8, 10, 12]
    assert seen == [[0], [1, 2, 3, 4], [5, 6]]
    batcher.close()


def test_a_job_alone_is_computed_by_the_thread_that_brings_it() -> None:
    threads: list[str] = []

    def compute(jobs: Sequence[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        return list(jobs)

    batcher = Batcher(compute, largest=4, wait=0.2)
    batcher.announce()
    assert batcher.submit(1, 1, here=True).result(0) == 1
    batcher.announce()
    batcher.announce()
    first = batcher.submit(2, 1, here=True)  # another one is on its way
    assert (batcher.submit(3, 1, here=True).result(10), first.result(10)) == (3, 2)
    batcher.close()
    assert threads == [threading.current_thread().name, "batcher"]


def test_jobs_that_come_while_another_thread_computes_share_the_next_batch() -> None:
    seen: list[list[int]] = []
    gate = threading.Event()
    batcher = Batcher(doubling(seen, gate), largest=4, wait=0.0)
    batcher.announce()
    first = threading.Thread(target=lambda: batcher.submit(0, 1, here=True))
    first.start()
    while not batcher._computing:
        time.sleep(0.001)
    batcher.announce()
    batcher.announce()
    futures = [batcher.submit(job, 1, here=True) for job in (1, 2)]
    assert not any(future.running() for future in futures)
    gate.set()
    assert [future.result(10) for future in futures] == [2, 4]
    assert seen == [[0], [1, 2]]
    first.join(10)
    batcher.close()


def test_a_second_batch_begins_beside_another_one_only_when_it_is_full() -> None:
    now, most, seen = [0], [0], list[list[int]]()
    gate, lock = threading.Event(), threading.Lock()

    def compute(jobs: Sequence[int]) -> list[int]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            seen.append(list(jobs))
        assert gate.wait(10)
        with lock:
            now[0] -= 1
        return list(jobs)

    batcher = Batcher(compute, largest=2, wait=0.0, at_once=2)
    batcher.announce()
    futures = [batcher.submit(0, 1)]
    until = time.monotonic() + 10
    for job, begun in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 2)):
        while len(seen) < (begun if job != 2 else 1):
            assert time.monotonic() < until
            time.sleep(0.001)
        batcher.announce()
        futures.append(batcher.submit(job, 1))
        assert len(seen) <= begun
    gate.set()
    assert [future.result(10) for future in futures] == list(range(6))
    batcher.close()
    assert sorted(seen) == [[0], [1, 2], [3, 4], [5]]
    assert most == [2]


def test_what_is_raised_in_the_thread_that_brings_a_job_reaches_its_caller() -> None:
    def compute(jobs: Sequence[int]) -> list[int]:
        return [job // 0 for job in jobs]

    batcher = Batcher(compute, largest=4, wait=0.0)
    for _ in range(2):
        batcher.announce()
        with pytest.raises(ZeroDivisionError):
            batcher.submit(1, 1, here=True).result(10)
    batcher.close()


def test_a_batch_waits_for_an_announced_job_but_not_for_ever() -> None:
    seen: list[list[int]] = []
    batcher = Batcher(doubling(seen), largest=8, wait=0.2)
    batcher.announce()
    batcher.announce()
    first = batcher.submit(1, 1)
    second = batcher.submit(2, 1)
    assert (first.result(10), second.result(10)) == (2, 4)
    assert seen == [[1, 2]]
    batcher.announce()
    batcher.announce()
    assert batcher.submit(3, 1).result(10) == 6, "the other announced job never comes"
    batcher.withdraw()
    batcher.close()


def test_a_job_heavier_than_a_batch_is_one_by_itself() -> None:
    seen: list[list[int]] = []
    sizes: list[int] = []
    gate = threading.Event()
    batcher = Batcher(doubling(seen, gate), largest=4, wait=0.0, on_batch=sizes.append)
    for _ in range(3):
        batcher.announce()
    futures = [batcher.submit(job, weight) for job, weight in ((1, 1), (2, 9), (3, 3))]
    gate.set()
    assert [future.result(10) for future in futures] == [2, 4, 6]
    assert seen == [[1], [2], [3]]
    assert sizes == [1, 9, 3]
    batcher.close()


def test_what_compute_raises_reaches_its_callers_and_the_next_batch_is_computed() -> None:
    def compute(jobs: Sequence[int]) -> list[int]:
        if 0 in jobs:
            raise ValueError("no zeros")
        return list(jobs)

    batcher = Batcher(compute, largest=4, wait=0.0)
    batcher.announce()
    with pytest.raises(ValueError, match="no zeros"):
        batcher.submit(0, 1).result(10)
    batcher.announce()
    assert batcher.submit(7, 1).result(10) == 7
    batcher.close()


def test_a_cancelled_job_is_not_computed_and_close_computes_the_rest() -> None:
    seen: list[list[int]] = []
    gate = threading.Event()
    batcher = Batcher(doubling(seen, gate), largest=1, wait=0.0)
    for _ in range(3):
        batcher.announce()
    futures = [batcher.submit(job, 1) for job in (1, 2, 3)]
    while not futures[0].running():
        time.sleep(0.001)
    assert futures[1].cancel()
    gate.set()
    batcher.close()
    assert seen == [[1], [3]]
    assert futures[2].result(0) == 6
    batcher.announce()
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(4, 1)
