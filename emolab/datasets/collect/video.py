"""Frames of a video: one every few seconds, without those that look like the last one kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import MissingExtra
from emolab.modalities.image.video_frame import pixel_ratio, shown
from emolab.modalities.problems import Refused, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture out of a video as a player shows it; ``seconds`` from its start."""

    seconds: float
    image: Image.Image


class Novelty:
    """Tells whether a picture differs from the last one that did.

    Both are reduced to 32 x 32 cells of grey, without their mean, so that noise and a change of light count little; new
    is a picture with a cell that changed by ``least`` of the range from black to white. A hash of the whole frame
    would not do: a smile on a face that fills a fifth of the frame leaves it nearly as it was.
    """

    def __init__(self, least: float) -> None:
        self._least = least * 255
        self._last: NDArray[np.float32] | None = None

    def __call__(self, image: Image.Image) -> bool:
        """Whether ``image`` is new; if so it becomes the one to compare with."""
        from PIL.Image import Resampling

        cells = np.asarray(image.convert("L").resize((32, 32), Resampling.BOX), dtype=np.float32)
        cells = cells - cells.mean()
        if self._last is not None and np.abs(cells - self._last).max() < self._least:
            return False
        self._last = cells
        return True


def frames(path: str, *, every: float, similar: float, notes: list[str] | None = None) -> Iterator[Frame | None]:
    """A frame every ``every`` seconds (0: all), ``None`` for each that is not new (see :class:`Novelty`).

    Pixels that are not square are stretched, and the display matrix (turned, mirrored) is applied. ``notes`` gets
    sentences about what was not believed.

    Raises :class:`Refused` when the file is no video or ends before its time; frames before that have been yielded.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV", "data") from error
    is_new = Novelty(similar)
    due, at, n = 0.0, 0.0, 0
    try:
        with av.open(path, metadata_errors="replace") as container:
            if not container.streams.video:
                raise Refused("not a video", "there is no picture in it")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            start = float((stream.start_time or 0) * (stream.time_base or 0))
            rate = float(stream.average_rate or 25)
            ratio = pixel_ratio(stream, [] if notes is None else notes)
            for n, frame in enumerate(container.decode(stream), 1):
                at = (n - 1) / rate if frame.time is None else frame.time - start
                if at + 1e-6 < due:
                    continue
                due = (at // every + 1) * every if every > 0 else 0.0
                image = shown(frame, ratio)
                yield Frame(at, image) if is_new(image) else None
            announced = max((container.duration or 0) / av.time_base, stream.frames / rate)
            if n and at < 0.9 * announced - 1:
                raise Refused("truncated", f"ends at {at:.1f} s of {announced:.1f} s")
    except PermissionError as error:
        raise Refused("unreadable", reason(error)) from error
    except (av.FFmpegError, ValueError, EOFError) as error:
        what = getattr(error, "strerror", None) or str(error)
        kind, message = ("truncated", f"stops at {at:.1f} s: {what}") if n else ("not a video", what.lower())
        raise Refused(kind, message) from error
    if not n:
        raise Refused("not a video", "there is no frame in it")


def length(path: str, *, every: float) -> int:
    """About how many frames :func:`frames` will look at; 1 where the file does not say."""
    try:
        import av

        with av.open(path, metadata_errors="replace") as container:
            seconds = (container.duration or 0) / av.time_base
            rate = float(container.streams.video[0].average_rate or 25) if container.streams.video else 25.0
    except (ImportError, OSError, ValueError):  # whoever reads it will say what is wrong
        return 1
    return max(1, int(seconds / every if every > 0 else seconds * rate))
