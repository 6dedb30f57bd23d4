"""Sound by FFmpeg: M4A and AAC, WMA, AMR, and the sound of videos with the time at which it begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import MissingExtra
from emolab.modalities.audio.reading.stream import SoundStream
from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray


#: Share of the length that must be there, and a second less: containers round.
_WHOLE = 0.9
#: Seconds that are missing between two frames: fewer are rounding, more a clock that was set anew.
_GAP, _LONGEST_GAP = 0.25, 600.0


class TrackStream:
    """The first sound track of an open container."""

    def __init__(self, container: Any, name: str) -> None:
        import av

        track = container.streams.audio[0]
        self._container, self._track = container, track
        self.rate = int(track.codec_context.sample_rate)
        self.channels = int(track.codec_context.layout.nb_channels)
        self.format = f"{name} {track.codec_context.name}"
        self.notes: list[str] = []
        if len(container.streams.audio) > 1:
            self.notes.append(f"it has {len(container.streams.audio)} sound tracks; the first one was taken")
        begins = [begin for each in container.streams if (begin := _begin(each)) is not None]
        self.offset = _after(begins, _begin(track))
        self.picture = _after(begins, _begin(container.streams.video[0]) if container.streams.video else None)
        whole = (container.duration or 0) / av.time_base
        #: Where the track does not say how long it is, only all of the file together: the picture may be longer.
        self._together = 0.0 if track.duration else whole
        seconds = float(track.duration * track.time_base) if track.duration else whole - self.offset
        self.frames: int | None = round(seconds * self.rate) or None
        self._first = min(begins, default=0.0)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Blocks (n, channels), one for each frame of the codec."""
        import av

        planar = av.AudioResampler(format="fltp")
        read, reached, clock = 0, 0.0, _Clock(self.rate, self.notes)
        try:
            for packet in self._container.demux():
                reached = max(reached, _end(packet) - self._first)
                for frame in packet.decode() if packet.stream.index == self._track.index else ():
                    yield from clock.gap(frame, self.channels)
                    for part in planar.resample(frame):
                        block = part.to_ndarray().T.astype(np.float32, copy=False)
                        read += len(block)
                        clock.heard += len(block)
                        yield block
        except (av.FFmpegError, ValueError, EOFError) as error:
            what = getattr(error, "strerror", None) or str(error)
            raise Refused("truncated" if read else "damaged", f"stops at {read / self.rate:.1f} s: {what}") from error
        if self.frames is None or not read or reached >= (self._together or np.inf) * _WHOLE - 1:
            return
        if read < _WHOLE * self.frames - self.rate:
            raise Refused("truncated", f"ends at {read / self.rate:.1f} s of {self.frames / self.rate:.1f} s")


class _Clock:
    """Where in the track the frames of a codec belong: what is missing between two is silence, and noted once."""

    def __init__(self, rate: int, notes: list[str]) -> None:
        self.heard = 0
        self._rate, self._notes, self._told = rate, notes, False
        self._first: float | None = None

    def gap(self, frame: Any, channels: int) -> Iterator[NDArray[np.float32]]:
        """Silence (n, channels) in place of what is missing before ``frame``."""
        if frame.pts is None:
            return
        at = float(frame.pts * frame.time_base)
        self._first = at if self._first is None else self._first
        missing = at - self._first - self.heard / self._rate
        if not _GAP < missing < _LONGEST_GAP:
            return
        if not self._told:
            where = self.heard / self._rate
            self._notes.append(
                f"{missing:.1f} s of its sound track are missing at {where:.1f} s, or more; taken as silence"
            )
            self._told = True
        left = round(missing * self._rate)
        while left:
            n = min(left, 10 * self._rate)
            self.heard, left = self.heard + n, left - n
            yield np.zeros((n, channels), dtype=np.float32)


def _end(packet: Any) -> float:
    """When ``packet`` ends by the clock of the file, in seconds; 0 where it does not say."""
    return float((packet.pts + (packet.duration or 0)) * packet.time_base) if packet.pts is not None else 0.0


def _begin(stream: Any) -> float | None:
    """When ``stream`` begins by its own clock, in seconds."""
    return None if stream.start_time is None else float(stream.start_time * stream.time_base)


def _after(begins: list[float], own: float | None) -> float:
    """How much later than the first of ``begins`` a stream begins that does at ``own``."""
    return 0.0 if own is None else max(0.0, own - min(begins))


@contextmanager
def opened(stream: BinaryIO, name: str) -> Iterator[SoundStream]:
    """The sound in ``stream``, a container called ``name``. Raises :class:`Refused`."""
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV", "audio") from error
    try:
        container = av.open(stream, metadata_errors="replace")
    except (av.FFmpegError, ValueError, EOFError) as error:
        what = (getattr(error, "strerror", None) or str(error)).lower()
        raise Refused("damaged", f"a {name} file that cannot be opened: {what}") from error
    with container:
        if not container.streams.audio:
            raise Refused("no sound", "a video without a sound track")
        yield TrackStream(container, name)
