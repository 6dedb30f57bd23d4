"""A live session ends when what it should keep can no longer be kept, instead of going on for hours."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emolab.loop.operate.live import live_session
from emolab.loop.operate.live.live_session import LiveSession, watch
from emolab.serving.live.face_stream import FaceStream, StreamRules
from emolab.serving.live.frame_sources import TimedFrame
from tests.support.films import FakeFinder, FakeModel


class Endless:
    """A camera that never ends by itself, or a film that does not."""

    name = "endless"

    def __init__(self, *, live: bool) -> None:
        self.live, self.damaged, self.notes, self.given = live, 0, list[str](), 0

    def __iter__(self) -> Iterator[TimedFrame]:
        for number in itertools.count():
            self.given = number
            time.sleep(0.002)
            yield TimedFrame(number / 30, np.zeros((48, 64, 3), np.uint8))


def new_stream() -> FaceStream:
    return FaceStream(FakeModel(), FakeFinder(itertools.repeat([])), StreamRules())


@pytest.mark.parametrize("live", [True, False], ids=["a camera", "a film"])
def test_a_disk_that_is_full_ends_the_session_and_says_so(
    live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emolab.serving.live.timeline import TimelineWriter

    def full(self: TimelineWriter, answer: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(TimelineWriter, "write", full)
    session = LiveSession(FakeModel().classes, seconds=60.0, stopped=lambda: False, on_status=lambda _: None)
    source = Endless(live=live)
    with pytest.raises(OSError, match="No space left"):
        watch(session, source, new_stream, [], record=None, timeline=tmp_path / "t.csv")
    assert session.over
    assert session.passed < 30
    assert source.given < 5_000


def test_a_session_ends_by_its_time_its_owner_or_what_it_was_told() -> None:
    told = [False]
    session = live_session.LiveSession((), seconds=None, stopped=lambda: told[0], on_status=lambda _: None)
    assert not session.over
    session.end_when(lambda: told[0])
    assert not session.over
    told[0] = True
    assert session.over
