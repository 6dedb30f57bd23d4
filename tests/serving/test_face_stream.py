"""A stream of frames: found, followed, classified, smoothed; and the timeline that comes of it."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from emolab.config import CollectConfig
from emolab.serving.live.face_stream import CutDetector, FaceStream, StreamRules, finder_for, stream_rules
from emolab.serving.live.frame_answers import FrameAnswer, TrackedFace, plain
from emolab.serving.live.frame_sources import VideoSource
from emolab.serving.live.timeline import ClassRun, FaceSummary, TimelineSummary, TimelineWriter, answers
from emolab.serving.live.tracker import Box, TrackRules
from emolab.serving.predictor import Predictor
from tests.support import films
from tests.support.films import FakeFinder, FakeModel

pytest.importorskip("cv2")
BOX: Box = (100.0, 80.0, 80.0, 100.0)


def gray(light: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    return np.full((size[1], size[0], 3), light, np.uint8)


def stream(model: FakeModel, looks: Iterator[Sequence[Box]], **rules: object) -> FaceStream:
    at_once = {"detect_every": 0.0, "tracks": TrackRules(hits=1), **rules}
    return FaceStream(model, FakeFinder(looks), StreamRules(**at_once))  # type: ignore[arg-type]


def test_a_face_has_its_probabilities_and_their_average() -> None:
    found = stream(FakeModel(), itertools.repeat([BOX]), smooth=1.0)
    first = found.answer(0.0, gray(255)).faces[0]
    assert first.probs is not None and first.smoothed is not None
    assert (first.track, first.box, first.score) == (1, (100, 80, 80, 100), 0.9)
    assert first.probs.tolist() == first.smoothed.tolist() == [1, 0, 0]
    later = found.answer(1.0, gray(230)).faces[0]
    assert later.probs is not None and later.smoothed is not None
    assert later.probs[0] == pytest.approx(230 / 255)
    assert later.smoothed[0] == pytest.approx(230 / 255 + np.exp(-1) * 25 / 255, abs=1e-4)


def test_faces_are_looked_for_by_time_and_moved_in_between() -> None:
    boxes = ([(100.0 + 10 * i, 80.0, 80.0, 100.0)] for i in itertools.count())
    finder = FakeFinder(boxes)
    found = FaceStream(FakeModel(), finder, StreamRules(detect_every=0.1, tracks=TrackRules(hits=1)))
    lefts = [found.answer(i / 30, gray(200)).faces[0].box[0] for i in range(31)]
    assert finder.asked == 11
    assert lefts == sorted(lefts)
    assert lefts[-1] == 200
    assert all(b - a in (0, 3, 4, 5, 10) for a, b in itertools.pairwise(lefts))


def test_an_answer_that_comes_late_counts_for_a_face_that_is_still_there() -> None:
    found = stream(FakeModel(), iter([[BOX], [BOX], [], [], [], []]), smooth=0.0)
    look = found.look(0.0, gray(255))
    shown = found.answer_of(found.look(0.1, gray(255)), None)
    assert (shown.faces[0].probs, shown.faces[0].smoothed) == (None, None)
    found.learn(look, found.classify(look))
    assert found.answer_of(look, None).faces[0].smoothed == pytest.approx([1, 0, 0])
    for at in (1.0, 2.0, 3.0, 4.0):
        found.look(at, gray(255))
    found.learn(look, found.classify(look))
    assert found.answer_of(look, None).faces[0].smoothed is None


def test_a_cut_ends_all_tracks_and_is_told() -> None:
    rng = np.random.default_rng(0)
    scenes = [np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((40, 40, 1))).astype(np.uint8) for _ in range(2)]
    found = stream(FakeModel(), itertools.repeat([BOX]))
    said = [found.answer(i / 10, scenes[i // 5]) for i in range(10)]
    assert [answer.cut for answer in said] == [i == 5 for i in range(10)]
    assert [answer.faces[0].track for answer in said] == [1] * 5 + [2] * 5


def test_a_lamp_or_a_moving_face_is_no_cut() -> None:
    cuts = CutDetector()
    frames = [films.frame([(0, 100 + 30 * i, 120, 220)]) for i in range(8)]
    brighter = [np.minimum(frames[-1].astype(int) + 60, 255).astype(np.uint8)]
    assert not any(cuts(pixels) for pixels in [*frames, *brighter])
    assert cuts(np.where(np.arange(640)[None, :, None] < 320, 0, frames[0]).astype(np.uint8))


def test_a_face_at_the_border_and_a_face_of_nothing_do_no_harm() -> None:
    outside: list[Box] = [(-60, -60, 90, 90), (300, 220, 60, 60), (-400, 10, 50, 50), (10, 10, 0.2, 40)]
    found = stream(FakeModel(), itertools.repeat(outside), min_face=0)
    for i in range(3):
        answer = found.answer(i / 10, gray(100))
        assert all(x >= 0 and y >= 0 and x + w <= 320 and y + h <= 240 for x, y, w, h in (f.box for f in answer.faces))
        json.dumps(plain(answer, films.CLASSES))


def test_the_same_face_gets_what_the_predictor_says() -> None:
    """With the same detector: a frame goes the way of an array."""
    looking = CollectConfig(faces="all", detect_size=320, detect_again=0)
    pixels = films.frame([(0, 200, 120, 220)])
    model = FakeModel()
    (face,) = Predictor(model, looking).one(pixels).faces
    live = FaceStream(model, finder_for(looking), StreamRules(tracks=TrackRules(hits=1)))
    (there,) = live.answer(0.0, pixels).faces
    assert there.probs == pytest.approx(face.probs, abs=1e-5)
    assert face.place is not None
    assert there.box == face.place.box


@pytest.mark.slow
def test_drawn_faces_that_cross_keep_their_numbers(tmp_path: Path) -> None:
    film = films.write(
        tmp_path / "a.mp4",
        lambda at: [(0, 20 + 100 * at, 120, 200), (2, 420 - 100 * at, 150, 200)],
        seconds=4.0,
        rate=12,
    )
    found = FaceStream(FakeModel(), finder_for(CollectConfig()), stream_rules(CollectConfig(), detect_every=0.0))
    by_frame = [{f.track: f.box[0] for f in answer.faces} for _, answer in answers(VideoSource(str(film)), found)]
    both = [there for there in by_frame if len(there) == 2]
    assert min(len(there) for there in by_frame[1:]) >= 1
    assert set(both[0]) == set(both[-1]) == {1, 2}
    left = min(both[0], key=lambda track: both[0][track])
    assert max(both[-1], key=lambda track: both[-1][track]) == left


def rows(form: str, model: FakeModel) -> tuple[str, int]:
    out = io.StringIO()
    writer = TimelineWriter(out, form, model.classes)
    found = stream(model, iter([[BOX], [], [BOX, (10, 10, 60, 60)]]))
    n = sum(writer.write(found.answer(i / 10, gray(255))) for i in range(3))
    return out.getvalue(), n


def test_a_timeline_is_a_row_for_each_face_of_each_frame() -> None:
    text, n = rows("csv", FakeModel())
    table = list(csv.DictReader(io.StringIO(text)))
    assert n == len(table) == 3
    assert [(row["seconds"], row["track"]) for row in table] == [("0.0000", "1"), ("0.2000", "1"), ("0.2000", "2")]
    assert (table[0]["label"], table[0]["x"], table[0]["happiness smoothed"]) == ("happiness", "100", "1.00000")
    lines, _ = rows("jsonl", FakeModel())
    told = [json.loads(line) for line in lines.splitlines()]
    assert [one["track"] for one in told] == [1, 1, 2]
    assert told[0]["probs"] == {"happiness": 1.0, "sadness": 0.0, "neutral": 0.0}
    assert told[0]["box"] == [100, 80, 80, 100]


def test_a_summary_keeps_its_means_however_coarse_it_becomes() -> None:
    summary = TimelineSummary()
    for i in range(16000):
        summary.add(told(i * 0.2, (100, 200)[i % 2]))
    (face,) = summary.tracks()
    assert (face.frames, face.first) == (16000, 0.0)
    assert len(face.times) <= 3000
    assert face.probs[0] == pytest.approx(150 / 255, abs=0.01)
    assert face.times == pytest.approx(sorted(face.times))
    assert face.shares.sum(axis=1) == pytest.approx(1, abs=1e-4)


def told(seconds: float, light: int) -> FrameAnswer:
    """An answer as a stream would give it."""
    share = light / 255
    probs = np.array([share, (1 - share) / 2, (1 - share) / 2], np.float32)
    face = TrackedFace(track=1, box=(100, 80, 80, 100), probs=probs, smoothed=probs)
    return FrameAnswer(seconds=seconds, size=(320, 240), faces=(face,))


def resident() -> float:
    """Megabytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
def test_an_hour_of_video_takes_no_more_memory_than_its_first_minutes(tmp_path: Path) -> None:
    """An hour at a frame a second, with people who come and go all the time."""

    def pixels(at: float) -> np.ndarray:
        return gray(100 + int(at) % 100, (96, 64))

    film = films.write(tmp_path / "hour.mp4", films.nobody, seconds=3600, rate=1, size=(96, 64), draw=pixels)
    boxes = ([(float(i // 20 % 3 * 30), 10.0, 40.0, 40.0)] for i in itertools.count())
    found = stream(FakeModel(), boxes)
    summary, held = TimelineSummary(), []
    with (tmp_path / "hour.csv").open("w") as out:
        writer = TimelineWriter(out, "csv", films.CLASSES)
        for _, answer in answers(VideoSource(str(film)), found):
            writer.write(answer)
            summary.add(answer)
            if summary.frames % 450 == 0:
                held.append(resident())
    assert summary.frames == 3600
    assert summary.seconds > 3590
    assert held[-1] - held[0] < 32, held


def test_the_time_of_a_face_is_cut_where_another_class_is_ahead_and_where_the_face_is_gone() -> None:
    times = np.array([0.0, 0.1, 0.2, 0.3, 2.0, 2.1])
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7]])
    face = FaceSummary(track=1, first=0.0, last=2.1, frames=6, probs=shares.mean(axis=0), times=times, shares=shares)
    assert face.step == pytest.approx(0.1)
    found = [(run.begin, run.end, run.place, run.share) for run in face.runs(gap=1.0)]
    assert np.allclose(found, [(0.0, 0.15, 0, 0.8), (0.15, 0.35, 1, 0.7), (1.95, 2.15, 1, 0.8)])
    alone = FaceSummary(track=1, first=3, last=3, frames=1, probs=shares[0], times=times[:1] + 3, shares=shares[:1])
    assert alone.runs(gap=1.0) == [ClassRun(2.95, 3.05, 0, 0.9)]
