"""There is room for so much work; above that, callers are told when to come back."""

from __future__ import annotations

import pytest

from emolab.serving.capacity import Capacity, Overloaded
from emolab.serving.service import RateLimit, is_loopback


def test_what_is_too_much_is_refused_and_takes_nothing() -> None:
    capacity = Capacity(images=3, size=100)
    capacity.enter(images=2, size=60)
    for more in ({"images": 2}, {"size": 41}, {"images": 2, "size": 1}):
        with pytest.raises(Overloaded):
            capacity.enter(**more)
    assert (capacity.held_images, capacity.held_bytes) == (2, 60)
    capacity.enter(images=1, size=40)
    capacity.leave(images=3, size=100)
    assert (capacity.held_images, capacity.held_bytes) == (0, 0)


def test_callers_are_asked_back_when_the_work_under_way_should_be_done() -> None:
    now = 0.0
    capacity = Capacity(images=100, size=1, clock=lambda: now)
    capacity.enter(images=100)
    with pytest.raises(Overloaded) as refused:
        capacity.enter(images=1)
    assert refused.value.retry_after == 1, "nothing is known yet"
    now = 5.0
    capacity.leave(images=50)  # 10 a second
    capacity.enter(images=50)
    with pytest.raises(Overloaded) as refused:
        capacity.enter(images=1)
    assert refused.value.retry_after == 10


def test_what_could_not_be_answered_in_time_is_refused_but_one_request_alone_never() -> None:
    now = 0.0
    capacity = Capacity(images=100, size=1, seconds=5.0, clock=lambda: now)
    capacity.enter(images=10)
    now = 5.0
    capacity.leave(images=10)  # 2 a second
    capacity.enter(images=20)
    capacity.enter(images=5, own=20)  # the same request
    with pytest.raises(Overloaded) as refused:
        capacity.enter(images=1)
    assert refused.value.retry_after == 13
    capacity.leave(images=5, answered=False)
    now = 10.0
    capacity.leave(images=20)  # 4 a second, 3 with what was before
    capacity.enter(images=10)
    capacity.enter(images=5)
    with pytest.raises(Overloaded):
        capacity.enter(images=1)


def test_idle_time_does_not_make_the_work_look_slow() -> None:
    now = 0.0
    capacity = Capacity(images=100, size=1, seconds=5.0, clock=lambda: now)
    for start in range(0, 3000, 100):
        now = float(start)
        capacity.enter(images=1)
        now = start + 0.2
        capacity.leave(images=1)  # 5 a second, once in 100 s
    capacity.enter(images=1)
    capacity.enter(images=20)
    with pytest.raises(Overloaded) as refused:
        capacity.enter(images=10)
    assert refused.value.retry_after == 5


def test_a_rate_lets_bursts_through_and_then_one_at_a_time() -> None:
    now = 0.0
    limit = RateLimit(2.0, clock=lambda: now)
    assert [limit.wait("ann") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limit.wait("bob") == 0, "each caller has a rate of its own"
    now = 0.5
    assert limit.wait("ann") == 0
    assert limit.wait("ann") == 0.5
    assert RateLimit(0.0).wait("ann") == 0, "0 is no limit"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.2", False), ("faces.example.org", False), ("", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_loopback(host) is local
