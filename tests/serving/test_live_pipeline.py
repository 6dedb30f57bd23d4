"""Frames of a live picture: the newest wins, and the model delays none of them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest

from emolab.serving.live.face_stream import FaceStream, StreamRules
from emolab.serving.live.frame_answers import FrameAnswer, TrackedFace
from emolab.serving.live.noteworthy import Noteworthy
from emolab.serving.live.pipeline import SLACK, ArrivedFrame, BadFrame, LiveAnswer, LivePipeline
from emolab.serving.live.tracker import TrackRules
from tests.support.films import FakeFinder, FakeModel

pytest.importorskip("cv2")
PIXELS = np.full((240, 320, 3), 255, np.uint8)


def stream(model: FakeModel) -> FaceStream:
    finder = FakeFinder(itertools.repeat([(100.0, 80.0, 80.0, 100.0)]))
    return FaceStream(model, finder, StreamRules(detect_every=0.0, smooth=0.0, tracks=TrackRules(hits=1)))


def pixels() -> np.ndarray:
    return PIXELS


def film(model: FakeModel, *, seconds: float, rate: int = 30) -> list[LiveAnswer]:
    """What comes back for a camera of ``rate`` frames a second."""
    found: list[LiveAnswer] = []
    with LivePipeline(stream(model), found.append) as pipeline:
        began = time.monotonic()
        for number in range(round(seconds * rate)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            pipeline.offer(ArrivedFrame(number, time.monotonic(), number / rate, pixels))
    return found


@pytest.mark.slow
def test_a_quick_model_answers_for_the_very_frame() -> None:
    found = film(FakeModel(), seconds=1.0)
    answers = [each.answer for each in found if each.answer is not None]
    asked = [answer.faces[0].probs is not None for answer in answers]
    assert sum(asked) > 0.6 * len(asked)
    assert [each.number for each in found] == sorted({each.number for each in found})
    assert len(found) + found[-1].dropped == 30


@pytest.mark.slow
def test_a_model_that_takes_ten_frames_delays_none() -> None:
    model = FakeModel(wait=lambda: time.sleep(0.33))
    found = film(model, seconds=2.0)
    ages = [each.age for each in found if not each.is_late]
    assert median(ages) < 1 / 30 + SLACK
    assert max(ages) < 0.33
    known = [each for each in found if each.answer is not None and each.answer.faces[0].smoothed is not None]
    assert known and all(each.lag is not None and each.lag > 0.2 for each in known[1:])
    assert all(each.answer is not None and each.answer.faces[0].probs is None for each in known[1:])
    assert model.asked < 10


def taken(reading: list[float], *, rate: int = 30) -> list[LiveAnswer]:
    """What comes of frames whose reading takes so many seconds each, by a clock that stands still otherwise."""
    now, found = [0.0], list[LiveAnswer]()

    def reads(seconds: float) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            now[0] += seconds
            return PIXELS

        return read

    with LivePipeline(stream(FakeModel()), found.append, clock=lambda: now[0]) as pipeline:
        for number, seconds in enumerate(reading):
            now[0] = max(now[0], number / rate)
            pipeline.offer(ArrivedFrame(number, number / rate, number / rate, reads(seconds)))
            until = time.monotonic() + 10
            while len(found) <= number:
                assert time.monotonic() < until
                time.sleep(0.001)
    return found


def test_a_frame_that_would_leave_too_old_does_not_and_is_counted() -> None:
    found = taken([0.005, 0.005, 0.005, 0.060, 0.005, 0.005])
    assert [each.is_late for each in found] == [False, False, False, True, False, False]
    assert [each.late for each in found] == [0, 0, 0, 1, 1, 1]
    assert found[3].pixels is None
    assert max(each.age for each in found if not each.is_late) <= 1 / 30 + SLACK


def test_the_first_frame_leaves_whatever_it_took() -> None:
    (found,) = taken([0.5])
    assert found.answer is not None and found.late == 0


@pytest.mark.parametrize(("looking", "oldest"), [(0.009, 1 / 30 + SLACK), (0.08, 1 / 30 + 0.096)])
def test_how_old_a_frame_may_be_where_the_machine_is_quick_and_where_it_is_always_too_slow(
    looking: float, oldest: float
) -> None:
    pipeline = LivePipeline(stream(FakeModel()), lambda _: None)
    for number in range(20):
        pipeline.offer(ArrivedFrame(number, number / 30, number / 30, pixels))
        pipeline._looking.append(looking)
    pipeline._looking.append(1.0)  # one that was held up changes nothing
    assert not pipeline.too_old(0.0, oldest - 0.001)
    assert pipeline.too_old(0.0, oldest + 0.001)


def test_frames_that_nobody_took_in_time_are_dropped_and_counted() -> None:
    taken, go = threading.Event(), threading.Event()
    found: list[LiveAnswer] = []

    def slow() -> np.ndarray:
        taken.set()
        go.wait(10)
        return PIXELS

    with LivePipeline(stream(FakeModel()), found.append) as pipeline:
        pipeline.offer(ArrivedFrame(0, time.monotonic(), 0.0, slow))
        taken.wait(10)
        for number in range(1, 6):
            pipeline.offer(ArrivedFrame(number, time.monotonic(), number / 30, pixels))
        go.set()
    assert [each.number for each in found] == [0, 5]
    assert found[-1].dropped == 4


def test_a_frame_that_is_none_is_an_answer_with_a_reason_and_ends_nothing() -> None:
    def broken() -> np.ndarray:
        raise BadFrame("a frame that is damaged")

    found: list[LiveAnswer] = []
    with LivePipeline(stream(FakeModel()), found.append) as pipeline:
        for number, read in enumerate([broken, pixels]):
            pipeline.offer(ArrivedFrame(number, time.monotonic(), number / 30, read))
            while len(found) <= number:
                time.sleep(0.001)
    assert [(each.number, each.error) for each in found] == [(0, "a frame that is damaged"), (1, None)]


@pytest.mark.parametrize("where", ["model", "finder", "listener"])
def test_what_goes_wrong_in_a_thread_is_raised_at_the_end(where: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(where)

    made = stream(FakeModel(wait=fail) if where == "model" else FakeModel())
    if where == "finder":
        made._finder.find_pixels = fail  # type: ignore[method-assign, assignment]
    heard: Callable[[LiveAnswer], None] = fail if where == "listener" else lambda _: None
    pipeline = LivePipeline(made, heard).__enter__()
    pipeline.offer(ArrivedFrame(0, time.monotonic(), 0.0, pixels))
    for _ in range(1000):
        if pipeline.failure is not None:
            break
        time.sleep(0.005)
    with pytest.raises(RuntimeError, match=where):
        pipeline.close()


def said(seconds: float, probs: list[float], smoothed: list[float] | None = None, side: int = 100) -> FrameAnswer:
    rows = [np.array(row, np.float32) for row in (probs, smoothed or probs)]
    face = TrackedFace(track=1, box=(10, 10, side, side), probs=rows[0], smoothed=rows[1])
    return FrameAnswer(seconds=seconds, size=(640, 480), faces=(face,))


def test_frames_that_deserve_a_vote_are_the_unsure_ones_and_sudden_changes() -> None:
    sure, unsure, other = [0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [0.02, 0.97, 0.01]
    worth = Noteworthy()
    told = [
        worth(said(at, probs, smoothed))
        for at, probs, smoothed in [
            (0.0, sure, None),
            (1.0, unsure, None),
            (1.5, unsure, None),  # too soon after the last one
            (4.0, sure, sure),
            (5.0, other, [0.8, 0.19, 0.01]),
        ]
    ]
    assert told == [None, "unsure", None, None, "sudden change"]


def test_small_faces_and_faces_without_an_answer_are_not_kept() -> None:
    worth = Noteworthy()
    assert worth(said(0.0, [0.4, 0.3, 0.3], side=40)) is None
    unknown = TrackedFace(track=1, box=(0, 0, 100, 100))
    assert worth(FrameAnswer(seconds=0.0, size=(640, 480), faces=(unknown,))) is None
