"""Live: frames come in whenever they come, answers leave at once, and nothing old is ever worked on.

1. :meth:`LivePipeline.offer` puts a frame into a queue of one; a frame that nobody took in time is dropped and counted.
2. A thread decodes the newest frame, finds and follows its faces (milliseconds), and hands the crops to a second one.
3. The second thread asks the model. Where its answer can be there before the next frame is due, the frame waits for it;
   else the frame leaves with the probabilities that are known, and the answer counts from the next frame on.

So the age of a frame does not depend on the model: one that takes a second gives probabilities that are a second old,
beside boxes that are not. Where the process was held up all the same, the frame does not leave: it is counted as late,
and the newest one is looked at instead (:meth:`LivePipeline.too_old`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emolab.serving.live.latest import Latest

if TYPE_CHECKING:
    from emolab.serving.live.face_stream import FaceStream, Look
    from emolab.serving.live.frame_answers import FrameAnswer

#: Seconds between two frames before any were seen, and the most that are waited for, whatever the rate.
_INTERVAL, _LONGEST_WAIT = 1 / 30, 0.1
#: By how much the thread that asks the model is nicer than the one that looks.
_LESS = 10
#: The share of a new measurement in a running average.
_SHARE = 0.2
#: Seconds by which a frame may be older than one interval when it leaves.
SLACK = 0.010
#: The shortest interval that counts, in seconds, and how many times as old as one look takes a frame may always be.
_SHORTEST, _SLOW = 1 / 60, 1.2
#: Arrivals and looks whose medians say how long they take.
_ARRIVALS, _LOOKS = 16, 15


@dataclass(frozen=True, slots=True)
class ArrivedFrame:
    """A frame that arrived at ``arrived`` (by the clock of the pipeline), ``seconds`` after the start of its stream.

    ``read`` gives its pixels (height, width, 3), red first, or raises :class:`BadFrame`. ``number`` is the sender's.
    """

    number: int
    arrived: float
    seconds: float
    read: Callable[[], NDArray[np.uint8]]


class BadFrame(Exception):
    """A frame that is no picture, or one of a size that is not taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveAnswer:
    """``answer`` for frame ``number``, or the ``error`` of that frame; neither for one that is too old to be shown.

    ``age`` is how many seconds ago it arrived. ``pixels`` are its own. ``lag``: by how many seconds the probabilities
    are older than the frame, ``None`` before there are any. ``fps`` counts answers a second, ``dropped`` the frames
    that nobody took in time, ``late`` those that were too old when they were to leave.
    """

    number: int
    arrived: float
    age: float
    dropped: int
    fps: float
    late: int = 0
    answer: FrameAnswer | None = None
    pixels: NDArray[np.uint8] | None = None
    lag: float | None = None
    error: str | None = None

    @property
    def is_late(self) -> bool:
        """Whether this frame was too old to be shown."""
        return self.answer is None and self.error is None


class LivePipeline:
    """The two threads behind one stream of frames; close it, or use it as a context manager.

    ``on_failure`` is called, in a thread, when what follows from :attr:`failure` is that no answer comes any more.
    """

    def __init__(
        self,
        stream: FaceStream,
        on_answer: Callable[[LiveAnswer], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        on_failure: Callable[[], object] = lambda: None,
    ) -> None:
        self._on_failure = on_failure
        self._stream, self._on_answer, self._clock = stream, on_answer, clock
        self._frames: Latest[ArrivedFrame] = Latest()
        self._looks: Latest[Look] = Latest()
        self._done = threading.Condition()
        self._learned: list[tuple[Look, NDArray[np.float32]]] = []
        self._asking = False
        self._took = _INTERVAL / 2
        self._interval, self._last_arrival = _INTERVAL, -1.0
        self._arrivals: tuple[float, ...] = ()
        self._looking: deque[float] = deque(maxlen=_LOOKS)
        self._late = 0
        self._fps, self._last_left = 0.0, -1.0
        self._probs_of = -1.0
        self.failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"live-{work.__name__}", daemon=True)
            for work in (self._look, self._ask)
        ]

    def __enter__(self) -> LivePipeline:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def offer(self, frame: ArrivedFrame) -> None:
        """Hand in the newest frame; never waits."""
        if self._last_arrival >= 0:
            gap = min(max(frame.arrived - self._last_arrival, 1e-3), 1.0)
            self._interval += _SHARE * (gap - self._interval)
        self._last_arrival = frame.arrived
        self._arrivals = (*self._arrivals[1 - _ARRIVALS :], frame.arrived)
        self._frames.put(frame)

    def too_old(self, arrived: float, now: float) -> bool:
        """Whether a frame that came at ``arrived`` is older ``now`` than one interval of the camera and :data:`SLACK`.

        Such a frame is not shown. A machine on which a look takes longer than an interval would then show nothing, so
        there frames may be older by a look and a fifth than the interval. Both times are medians of late.
        """
        gaps = [after - before for before, after in itertools.pairwise(self._arrivals)]
        if not gaps:
            return False
        interval = max(statistics.median(gaps), _SHORTEST)
        usual = statistics.median(self._looking) if self._looking else 0.0
        return now - arrived > interval + (SLACK if usual <= interval else _SLOW * usual)

    def leaves_late(self) -> int:
        """Count one more frame that is too old to be shown; how many there are."""
        with self._done:
            self._late += 1
            return self._late

    @property
    def now(self) -> float:
        """The time, by the clock that frames are stamped with."""
        return self._clock()

    def close(self, timeout: float = 10.0) -> None:
        """Answer what is in the queue, then end both threads. Raises what ended one of them early."""
        self._frames.close()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(timeout)
        if self.failure is not None:
            raise self.failure

    # -- the thread that looks -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        while (frame := self._frames.get()) is not None:
            began = self._clock()
            try:
                pixels = frame.read()
            except BadFrame as error:
                self._leave(frame, error=str(error))
                continue
            self._take_learned()
            look = self._stream.look(frame.seconds, pixels)
            self._looking.append(self._clock() - began)
            probs = self._probs(frame, look)
            answer = self._stream.answer_of(look, probs)
            self._leave(frame, answer=answer, pixels=pixels)

    def _probs(self, frame: ArrivedFrame, look: Look) -> NDArray[np.float32] | None:
        """The model's answer for ``look`` if it can be there in time."""
        if not look.faces:
            return None
        until = frame.arrived + min(self._interval, _LONGEST_WAIT)
        with self._done:
            busy = self._asking
        self._looks.put(look)
        if busy or self._clock() + self._took > until:
            return None
        with self._done:
            self._done.wait_for(lambda: self._has(look), max(0.0, until - self._clock()))
            found = next((probs for asked, probs in self._learned if asked is look), None)
            self._learned = [each for each in self._learned if each[0] is not look]
        if found is not None:
            self._probs_of = look.seconds
        return found

    def _has(self, look: Look) -> bool:
        return any(asked is look for asked, _ in self._learned)

    def _take_learned(self) -> None:
        """Let answers count that came after their frame had left."""
        with self._done:
            late, self._learned = self._learned, []
        for look, probs in late:
            self._stream.learn(look, probs)
            self._probs_of = max(self._probs_of, look.seconds)

    def _leave(
        self,
        frame: ArrivedFrame,
        *,
        answer: FrameAnswer | None = None,
        pixels: NDArray[np.uint8] | None = None,
        error: str | None = None,
    ) -> None:
        now = self._clock()
        if self.too_old(frame.arrived, now):
            self.leaves_late()
            answer, pixels, error = None, None, None
        else:
            if self._last_left >= 0:
                rate = 1 / max(now - self._last_left, 1e-3)
                self._fps = rate if not self._fps else self._fps + _SHARE * (rate - self._fps)
            self._last_left = now
        known = answer is not None and any(face.smoothed is not None for face in answer.faces)
        self._on_answer(
            LiveAnswer(
                number=frame.number,
                arrived=frame.arrived,
                age=now - frame.arrived,
                dropped=self._frames.dropped,
                fps=self._fps,
                late=self._late,
                answer=answer,
                pixels=pixels,
                lag=max(0.0, frame.seconds - self._probs_of) if known else None,
                error=error,
            )
        )

    # -- the thread that asks ------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        _step_back()
        while (look := self._looks.get()) is not None:
            with self._done:
                self._asking = True
            began = self._clock()
            probs = self._stream.classify(look)
            self._took += _SHARE * (self._clock() - began - self._took)
            with self._done:
                self._asking = False
                self._learned.append((look, probs))
                self._done.notify_all()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run one of the two threads; what ends one of them ends both."""
        try:
            work()
        except BaseException as error:
            self.failure = self.failure or error
            with contextlib.suppress(RuntimeError):  # whoever asked to be told has ended
                self._on_failure()
        finally:
            self._frames.close()
            self._looks.close()
            with contextlib.suppress(RuntimeError), self._done:
                self._done.notify_all()


def _step_back() -> None:
    """Let this thread take less of a busy core than the one that looks: its answers may be late, frames may not."""
    if sys.platform == "linux":  # elsewhere a process has one priority for all threads
        own = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, own, min(19, os.getpriority(os.PRIO_PROCESS, own) + _LESS))
