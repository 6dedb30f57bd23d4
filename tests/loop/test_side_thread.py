"""Work beside the frames: an error ends it, reaches whoever leaves, and makes nobody wait for ever."""

from __future__ import annotations

import threading

import pytest

from emolab.loop.operate.live.side_thread import SideThread

MOST = 4


class Slow(SideThread[int]):
    """Waits for a sign, then fails, or takes all; ``done`` lists what it took."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__("slow", waiting=MOST)
        self.done, self.sign, self.closed = list[int](), threading.Event(), False
        self._error = error

    def work(self) -> None:
        self.sign.wait(30)
        if self._error is not None:
            raise self._error
        while (one := self.taken()) is not None:
            self.done.append(one)

    def close(self) -> None:
        self.closed = True


def test_what_is_given_is_done_in_order_and_too_much_is_refused() -> None:
    with Slow(None) as slow:
        assert [slow.give(i) for i in range(MOST + 2)] == [True] * MOST + [False] * 2
        assert not slow.closed
        slow.sign.set()
        slow.give(9, wait=True)
    assert slow.done == [*range(MOST), 9]
    assert slow.closed
    assert not slow.failed


@pytest.mark.timeout(60)
@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("broken"), KeyboardInterrupt()], ids=repr)
def test_after_an_error_neither_giving_nor_leaving_waits(error: BaseException) -> None:
    slow = Slow(error)
    with pytest.raises(type(error)), slow:
        for i in range(MOST):
            assert slow.give(i)
        slow.sign.set()
        for i in range(3 * MOST):  # a film's frames wait for their place
            assert slow.give(i, wait=True)
        slow._thread.join(0.2)
        assert slow.failed
    assert slow.closed
    assert not slow._thread.is_alive()
