"""Requests are read in threads and computed together; a swap fails none of them."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import CancelledError, wait

import pytest

from emolab.serving.model_host import Batching, ModelHost, TooManyFaces
from emolab.serving.shadow import MOST, Shadow
from tests.support.serving import FakeModel, picture, version


def named(*levels: int) -> list[tuple[str, bytes]]:
    return [(f"p{level}", picture(level)) for level in levels]


def threads(name: str) -> int:
    return sum(thread.name == name and thread.is_alive() for thread in threading.enumerate())


def test_answers_come_in_the_order_of_the_pictures_whatever_thread_read_them() -> None:
    host = ModelHost(version(), readers=4)
    levels = list(range(0, 250, 5))
    answered = host.submit(named(*levels)).result(30)
    assert [answer.name for answer in answered.answers] == [f"p{level}" for level in levels]
    assert [answer.faces[0].label for answer in answered.answers] == [
        "happiness" if level > 127 else "sadness" for level in levels
    ]
    host.close()


def test_pictures_that_cannot_be_read_are_answered_without_the_model() -> None:
    model = FakeModel()
    host = ModelHost(version(model))
    answered = host.submit([("a", b"no"), ("b", b"")]).result(30)
    assert [bool(answer.error) for answer in answered.answers] == [True, True]
    assert model.batches == []
    mixed = host.submit([("a", b"no"), ("b", picture())]).result(30).answers
    assert [answer.error is None for answer in mixed] == [False, True]
    host.close()


def test_requests_of_many_callers_share_batches() -> None:
    gate = threading.Event()
    model = FakeModel(gate=gate)
    host = ModelHost(version(model, batching=Batching(largest=16, wait=0.5)))
    futures = [host.submit(named(level)) for level in range(33)]
    time.sleep(0.05)
    gate.set()
    wait(futures, 30)
    assert sum(model.batches) == 33
    assert len(model.batches) <= 5, model.batches
    host.close()


def test_more_faces_than_allowed_are_refused() -> None:
    host = ModelHost(version(batching=Batching(faces=3)))
    with pytest.raises(TooManyFaces, match="4 faces; at most 3"):
        host.submit(named(1, 2, 3, 4)).result(30)
    assert len(host.submit(named(1, 2, 3)).result(30).answers) == 3
    host.close()


def test_a_caller_that_gives_up_costs_no_batch() -> None:
    gate = threading.Event()
    model = FakeModel(gate=gate)
    host = ModelHost(version(model, batching=Batching(largest=1)))
    first, second = host.submit(named(1)), host.submit(named(2))
    time.sleep(0.1)
    assert second.cancel()
    gate.set()
    first.result(30)
    host.close()
    with pytest.raises(CancelledError):
        second.result(0)
    assert model.batches == [1]


def test_close_waits_for_a_batch_that_nobody_waits_for_any_more() -> None:
    gate = threading.Event()
    model = FakeModel(gate=gate)
    host = ModelHost(version(model))
    future = host.submit(named(1))
    until = time.monotonic() + 10
    while not model.begun.is_set() and time.monotonic() < until:
        time.sleep(0.001)
    assert future.cancel()
    threading.Timer(0.2, gate.set).start()
    host.close()
    assert model.batches == [1], "an engine that computes while its process ends brings it down"


def test_a_swap_fails_no_request_and_the_old_version_ends_after_its_last_one() -> None:
    before = threads("batcher")
    gate = threading.Event()
    host = ModelHost(version(FakeModel(id="1" * 64, gate=gate)))
    old = [host.submit(named(level)) for level in range(5)]
    host.swap(version(FakeModel(id="2" * 64)))
    assert host.submit(named(9)).result(30).version.id == "2" * 64
    gate.set()
    assert {future.result(30).version.id for future in old} == {"1" * 64}
    until = time.monotonic() + 10
    while threads("batcher") > before + 1:
        assert time.monotonic() < until, "the old version's thread lives on"
        time.sleep(0.01)
    host.close()


def test_swaps_under_load_lose_nothing() -> None:
    host = ModelHost(version(FakeModel(id="0" * 64)))
    stop = threading.Event()
    answered: list[str] = []

    def ask() -> None:
        while not stop.is_set():
            answered.append(host.submit(named(3)).result(30).version.id)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for n in range(1, 30):
        host.swap(version(FakeModel(id=f"{n:064d}")))
        time.sleep(0.005)
    stop.set()
    for caller in callers:
        caller.join(30)
    assert len(set(answered)) > 5
    host.close()


def test_a_candidate_answers_a_share_unseen_and_what_it_said_is_counted() -> None:
    class Contrary(FakeModel):
        def probabilities(self, pixels):  # type: ignore[no-untyped-def]
            return super().probabilities(pixels)[:, ::-1]

    host = ModelHost(version(FakeModel(id="1" * 64)))
    shadow = Shadow(version(Contrary(id="2" * 64)), share=0.5, rng=random.Random(0))
    host.listen(shadow)
    for level in [0, 255] * 20:
        assert host.submit(named(level)).result(30).version.id == "1" * 64
        time.sleep(0.001)
    shadow.close()
    tally = shadow.take()["1" * 64]
    assert 5 < tally.pictures < 35
    assert (tally.agreed, tally.failed, tally.unequal) == (0, 0, 0)
    assert tally.serving["happiness"] == tally.candidate["sadness"]
    assert tally.to_dict()["faces"] == tally.pictures
    assert shadow.take() == {}
    host.close()


def test_a_candidate_that_is_behind_is_passed_by() -> None:
    gate = threading.Event()
    host = ModelHost(version(FakeModel(id="1" * 64)))
    shadow = Shadow(version(FakeModel(id="2" * 64, gate=gate)), share=1.0, rng=random.Random(0))
    host.listen(shadow)
    for _ in range(MOST + 6):
        host.submit(named(3)).result(30)
    gate.set()
    shadow.close()
    tally = shadow.take()["1" * 64]
    assert (tally.passed, tally.pictures) == (6, MOST)
    host.close()
