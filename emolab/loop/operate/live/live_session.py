"""What happens during a live session: counting, writing, and the two ways for frames to come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.operate.live.side_thread import SideThread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.serving.live.face_stream import FaceStream
    from emolab.serving.live.frame_answers import FrameAnswer
    from emolab.serving.live.frame_sources import FrameSource, TimedFrame
    from emolab.serving.live.pipeline import LiveAnswer

    DrawnFrame = tuple[FrameAnswer, NDArray[np.uint8]]

#: Who hears of every answer: the name of its stream, and the answer.
Listener = Callable[[str, "LiveAnswer"], None]

#: Milliseconds up to which ages are counted one by one; older frames count as this old.
_OLDEST = 10_000
#: Seconds between two reports of how it goes.
_STATUS = 1.0
#: Frames that may wait to be drawn and written.
_WAITING = 64


@dataclass(frozen=True, kw_only=True)
class LiveStatus:
    """How it goes: ``fps`` answers a second, ``age_ms`` of the last frame when it left, ``faces`` (track, class,
    probability) in it, ``frames`` answered, ``dropped`` and too ``late`` so far.
    """

    fps: float
    age_ms: float
    frames: int
    dropped: int
    late: int = 0
    faces: tuple[tuple[int, str, float], ...] = ()


class LiveSession:
    """Counts what is answered, tells how it goes once a second, and knows when to end. Any thread may tell it."""

    def __init__(
        self,
        classes: Sequence[str],
        *,
        seconds: float | None,
        stopped: Callable[[], bool],
        on_status: Callable[[LiveStatus], None],
    ) -> None:
        self._classes, self._seconds, self._stopped, self._on_status = classes, seconds, stopped, on_status
        self._ends: list[Callable[[], bool]] = []
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._told = 0.0
        self._ages: dict[int, int] = {}
        self._frames = self._faces = 0
        self._dropped: dict[str, int] = {}
        self._late: dict[str, int] = {}

    @property
    def passed(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._began

    @property
    def over(self) -> bool:
        """Whether the session is to end."""
        timed_out = self._seconds is not None and self.passed >= self._seconds
        return timed_out or self._stopped() or any(ends() for ends in self._ends)

    def end_when(self, ends: Callable[[], bool]) -> None:
        """End it as soon as ``ends`` says so: a session whose pictures are no longer kept must not go on unnoticed."""
        self._ends.append(ends)

    def see(self, stream: str, answer: LiveAnswer) -> None:
        """Count one answer."""
        from emolab.serving.live.frame_answers import best

        status = None
        with self._lock:
            self._dropped[stream], self._late[stream] = answer.dropped, answer.late
            if answer.answer is not None:
                self._frames += 1
                self._faces += len(answer.answer.faces)
                age = min(_OLDEST, round(1000 * answer.age))
                self._ages[age] = self._ages.get(age, 0) + 1
                if self.passed - self._told >= _STATUS:
                    self._told = self.passed
                    shown = [(face.track, best(face, self._classes)) for face in answer.answer.faces]
                    status = LiveStatus(
                        fps=answer.fps,
                        age_ms=1000 * answer.age,
                        frames=self._frames,
                        dropped=sum(self._dropped.values()),
                        late=sum(self._late.values()),
                        faces=tuple((track, *found) for track, found in shown if found is not None),
                    )
        if status is not None:
            self._on_status(status)

    def figures(self) -> dict[str, Any]:
        """Counts, and how old frames were."""
        with self._lock:
            return {
                "frames": self._frames,
                "dropped": sum(self._dropped.values()),
                "late": sum(self._late.values()),
                "faces": self._faces,
                "fps": round(self._frames / max(self.passed, 1e-9), 2),
                "age_ms": {"median": self._age(0.5), "p95": self._age(0.95)},
            }

    def _age(self, share: float) -> float | None:
        """The age that ``share`` of the frames did not exceed, in milliseconds."""
        left = share * self._frames
        for age, n in sorted(self._ages.items()):
            left -= n
            if left <= 0:
                return float(age)
        return None


class LiveWriter(SideThread["DrawnFrame"]):
    """Draws, records and lists answers in a thread of its own, so that no frame waits for that; a context manager.

    With ``hurry`` frames are left out, and counted in ``left_out``, where they come faster than they are written.
    """

    def __init__(self, record: Path | None, timeline: Path | None, classes: Sequence[str], *, hurry: bool) -> None:
        from emolab.serving.live.recording import Recorder
        from emolab.serving.live.timeline import FORMS, TimelineWriter

        super().__init__("live-writer", waiting=_WAITING)
        self._classes, self._hurry = classes, hurry
        self._stack = ExitStack()
        self._recorder = None if record is None else self._stack.enter_context(Recorder(record))
        self._rows = None
        if timeline is not None:
            timeline.parent.mkdir(parents=True, exist_ok=True)
            stream = self._stack.enter_context(timeline.open("w", encoding="utf-8", newline=""))
            self._rows = TimelineWriter(stream, FORMS[timeline.suffix.lower()], classes)
        self.left_out = 0

    def see(self, stream: str, answer: LiveAnswer) -> None:
        """Take one answer with its frame."""
        del stream
        if answer.answer is None or answer.pixels is None:
            return
        if not self.give((answer.answer, answer.pixels), wait=not self._hurry):
            self.left_out += 1

    def tell(self, notes: list[str]) -> None:
        """Add to ``notes`` what is missing in the files."""
        if self.left_out:
            notes.append(f"{self.left_out:,} frames came faster than they could be written, and are not in the files")

    def work(self) -> None:
        """Write answers and draw frames."""
        from emolab.serving.live.overlay import drawn

        while (given := self.taken()) is not None:
            answer, pixels = given
            if self._rows is not None:
                self._rows.write(answer)
            if self._recorder is not None:
                self._recorder.write(answer.seconds, drawn(pixels, answer, self._classes))

    def close(self) -> None:
        """Close the film and the table."""
        self._stack.close()


def watch(
    session: LiveSession,
    source: FrameSource,
    new_stream: Callable[[], FaceStream],
    listeners: Sequence[Listener],
    *,
    record: Path | None,
    timeline: Path | None,
) -> None:
    """Answer the frames of ``source``: the newest ones of a live one, all of a file; ``record`` and list them."""
    stream = new_stream()
    with ExitStack() as stack:
        heard = list(listeners)
        if record is not None or timeline is not None:
            writer = LiveWriter(record, timeline, stream.model.classes, hurry=source.live)
            stack.callback(writer.tell, source.notes)
            session.end_when(lambda: writer.failed)
            heard.append(stack.enter_context(writer).see)

        def tell(answer: LiveAnswer) -> None:
            for listener in heard:
                listener(source.name, answer)

        (_newest if source.live else _all)(session, source, stream, tell)


def _newest(session: LiveSession, source: FrameSource, stream: FaceStream, tell: Callable[[LiveAnswer], None]) -> None:
    from functools import partial

    from emolab.serving.live.pipeline import ArrivedFrame, LivePipeline
    from emolab.serving.pauses import short_pauses

    with short_pauses(), LivePipeline(stream, tell) as pipeline:
        for number, frame in enumerate(source):
            pipeline.offer(ArrivedFrame(number, pipeline.now, frame.seconds, partial(_pixels, frame)))
            if session.over or pipeline.failure is not None:
                break


def _pixels(frame: TimedFrame) -> NDArray[np.uint8]:
    return frame.pixels


def _all(session: LiveSession, source: FrameSource, stream: FaceStream, tell: Callable[[LiveAnswer], None]) -> None:
    from emolab.serving.live.pipeline import LiveAnswer

    fps, began = 0.0, time.monotonic()
    for number, frame in enumerate(source):
        arrived = time.monotonic()
        answer = stream.answer(frame.seconds, frame.pixels)
        now = time.monotonic()
        fps = (number + 1) / max(now - began, 1e-6)
        tell(
            LiveAnswer(
                number=number,
                arrived=arrived,
                age=now - arrived,
                dropped=0,
                fps=fps,
                answer=answer,
                pixels=frame.pixels,
                lag=0.0,
            )
        )
        if session.over:
            break
