"""Where frames come from: a video file, a camera by its number, or an address such as rtsp://.

A source is gone through once: it gives :class:`TimedFrame` in the order of time. What could not be decoded ends
nothing: it is counted in ``damaged`` and told in ``notes``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from emolab.errors import DataError, EmolabError, MissingExtra
from emolab.modalities.image.camera_device import open_camera
from emolab.modalities.image.video_frame import pixel_ratio, shown
from emolab.modalities.problems import reason

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

#: Frames a second where a file does not say.
_RATE = 25.0
#: Faults in a row, with no frame between them, after which the rest of a file is given up.
_FAULTS = 200
#: Seconds without a frame that are told, as damage to a file leaves them, and how many such gaps.
_GAP, _GAPS = 2.0, 20
#: How often a lost connection is made again, and the seconds waited before each time.
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Seconds in which an address must answer, and send its next frame.
_TIMEOUT = (10.0, 10.0)


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """Pixels (height, width, 3), red first, ``seconds`` after the start."""

    seconds: float
    pixels: NDArray[np.uint8]


class FrameSource(Protocol):
    """A stream of frames. A ``live`` one does not wait: who is too slow misses frames."""

    live: bool
    damaged: int
    notes: list[str]

    @property
    def name(self) -> str:
        """What people call it."""

    def __iter__(self) -> Iterator[TimedFrame]:
        """The frames, in the order of their times."""


def open_source(what: str) -> FrameSource:
    """The source that ``what`` means: a camera's number, an address with ``://``, or the path of a video.

    Raises :class:`DataError` for a path where nothing is.
    """
    if what.isdigit():
        return CameraSource(int(what))
    if "://" in what:
        return AddressSource(what)
    if not Path(what).exists():
        raise DataError(
            f"There is no {what}.", hint="SOURCE is a camera's number (0), a video file or an address (rtsp://...)."
        )
    return VideoSource(what)


@dataclass
class VideoSource:
    """The frames of a video file, with the times that the file says, as a player shows them."""

    path: str
    live: bool = field(default=False, init=False)
    damaged: int = field(default=0, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        """The file."""
        return self.path

    def __iter__(self) -> Iterator[TimedFrame]:
        """The frames. Raises :class:`DataError` for a file that is no video."""
        self.damaged, self.notes = 0, []
        n, last = 0, 0.0
        with _opened(self.path) as container:
            stream = container.streams.video[0]
            announced = (container.duration or 0) / _av().time_base
            ratio = pixel_ratio(stream, self.notes)
            clock = _FileClock(stream)
            for frame in _decoded(container, stream, self):
                last = clock(frame)
                n += 1
                yield TimedFrame(last, _pixels(frame, ratio))
            if clock.untimed:
                self.notes.append(f"{clock.untimed:,} frames have no usable time; {clock.step:.4g} s a frame assumed")
            self.notes += [f"nothing between {begin:.1f} s and {end:.1f} s" for begin, end in clock.gaps]
        if not n:
            raise DataError(f"{self.path} is not a video that can be read: there is no frame in it.")
        if self.damaged:
            self.notes.append(f"{self.damaged:,} damaged frames left out")
        if last < 0.9 * announced - 1:
            self.notes.append(f"the file ends at {last:.1f} s of {announced:.1f} s")

    def seconds(self) -> float | None:
        """How long the file says it is; ``None`` where it does not."""
        with _opened(self.path) as container:
            return container.duration / _av().time_base if container.duration else None


class _FileClock:
    """The time of each frame, in seconds from the first: never backwards, whatever the file says."""

    def __init__(self, stream: Any) -> None:
        rate = float(stream.average_rate or 0) or float(getattr(stream, "guessed_rate", None) or 0)
        self.step = 1 / rate if 0 < rate <= 1000 else 1 / _RATE
        self.untimed = 0
        self.gaps: list[tuple[float, float]] = []
        self._start: float | None = None
        self._last = -1.0

    def __call__(self, frame: Any) -> float:
        told = None if frame.time is None else float(frame.time)
        if told is not None and self._start is None:
            self._start = told
        at = None if told is None or self._start is None else told - self._start
        if at is None or (self._last >= 0 and at <= self._last):
            self.untimed += 1
            at = self._last + self.step if self._last >= 0 else 0.0
        if self._last >= 0 and at - self._last > max(_GAP, 3 * self.step) and len(self.gaps) < _GAPS:
            self.gaps.append((self._last, at))
        self._last = at
        return at


@dataclass
class AddressSource:
    """The frames of a network camera, by its address; their times are those of their arrival.

    A connection that is lost is made again, a few times with growing waits. ``options`` go to FFmpeg.
    """

    address: str
    options: Mapping[str, str] = field(default_factory=lambda: {"rtsp_transport": "tcp", "fflags": "nobuffer"})
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = time.sleep
    live: bool = field(default=True, init=False)
    damaged: int = field(default=0, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        """The address without the name and password in it."""
        head, _, rest = self.address.partition("://")
        host, slash, path = rest.partition("/")
        return f"{head}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"

    def __iter__(self) -> Iterator[TimedFrame]:
        """The frames. Raises :class:`EmolabError` when nothing answers, or no longer."""
        began: float | None = None
        tries = 0
        while True:
            try:
                with _opened(self.address, shown_as=self.name, options=dict(self.options)) as container:
                    stream = container.streams.video[0]
                    ratio = pixel_ratio(stream, [])
                    for frame in _decoded(container, stream, self):
                        began = self.clock() if began is None else began
                        tries = 0
                        yield TimedFrame(self.clock() - began, _pixels(frame, ratio))
                    if container.duration:
                        return  # a film at an address, not a camera: it has come to its end
                why = "the stream ended"
            except EmolabError as error:
                if began is None:
                    raise
                why = error.message
            if tries == len(_WAITS):
                raise EmolabError(
                    f"{self.name} is lost: {why}.", hint="See that the camera is on and reachable, and start again."
                )
            self.notes.append(f"connection lost ({why}); trying again")
            self.wait(_WAITS[tries])
            tries += 1


@dataclass
class CameraSource:
    """The frames of camera ``number``, as they come."""

    number: int | str
    clock: Callable[[], float] = time.monotonic
    live: bool = field(default=True, init=False)
    damaged: int = field(default=0, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        """Which camera."""
        return f"camera {self.number}"

    def __iter__(self) -> Iterator[TimedFrame]:
        """The frames until it sends no more. Raises :class:`EmolabError` without such a camera or without a frame."""
        capture = open_camera(self.number, extra="serve")
        import cv2

        began, n = self.clock(), 0
        try:
            while True:
                there, pixels = capture.read()
                if not there:
                    break
                n += 1
                yield TimedFrame(self.clock() - began, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
        finally:
            capture.release()
        if not n:
            raise EmolabError(f"{self.name} opened, but sent no picture; is another program using it?")
        self.notes.append(f"{self.name} sends no more pictures")


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV", "serve") from error
    return av


def _opened(what: str, *, shown_as: str = "", options: dict[str, str] | None = None) -> Any:
    """The container of ``what``, which has a picture in it. Raises :class:`DataError` where there is none."""
    av = _av()
    name = shown_as or what
    more = {"timeout": _TIMEOUT, "options": options} if options is not None else {}
    try:
        container = av.open(what, metadata_errors="replace", **more)
    except PermissionError as error:
        raise DataError(f"{name} cannot be read: {reason(error)}.") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise DataError(f"{name} is not a video that can be read: {_said(error)}.") from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{name} is not a video: there is no picture in it.")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _decoded(container: Any, stream: Any, source: FrameSource) -> Iterator[Any]:
    """The frames that can be decoded; all others are counted in ``source.damaged``."""
    av = _av()
    packets = container.demux(stream)
    faults = 0
    while faults < _FAULTS:
        try:
            packet = next(packets, None)
        except EOFError:
            return
        except (av.FFmpegError, ValueError, OSError) as error:
            if source.live:
                raise DataError(_said(error)) from error
            faults += 1
            source.damaged += 1
            packets = container.demux(stream)
            continue
        if packet is None:
            return
        try:
            frames = packet.decode()
        except EOFError:
            return
        except (av.FFmpegError, ValueError) as error:
            del error
            faults += 1
            source.damaged += 1
            continue
        for frame in frames:
            if frame.is_corrupt:
                source.damaged += 1
            else:
                faults = 0
                yield frame
    source.notes.append(f"{_FAULTS} faults in a row; the rest is given up")


def _pixels(frame: Any, ratio: Fraction) -> NDArray[np.uint8]:
    return np.asarray(shown(frame, ratio))


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
