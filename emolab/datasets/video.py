"""Frames of a video: one every few seconds, without those that look like the last one kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.datasets import quality
from emolab.datasets.problems import Refused
from emolab.errors import MissingExtra

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture out of a video, upright; ``seconds`` from its start."""

    seconds: float
    image: Image.Image


class Novelty:
    """Tells whether a picture differs from the last one that did, by at least ``bits`` of its perceptual hash."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._last: int | None = None

    def __call__(self, image: Image.Image) -> bool:
        """Whether ``image`` is new; if so it becomes the one to compare with."""
        found = quality.perceptual_hash(quality.gray_thumbnail(image))
        if self._last is not None and (found ^ self._last).bit_count() < self._bits:
            return False
        self._last = found
        return True


def frames(path: str, *, every: float, similar: int) -> Iterator[Frame | None]:
    """A frame every ``every`` seconds (0: all), ``None`` for each that differs in fewer than ``similar`` of 64 bits.

    Raises :class:`Refused` when the file is no video or ends before its time; frames before that have been yielded.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV", "data") from error
    is_new = Novelty(similar)
    due, last, seen = 0.0, 0.0, False
    try:
        with av.open(path, metadata_errors="replace") as container:
            if not container.streams.video:
                raise Refused("not a video", "there is no picture in it")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            start = float((stream.start_time or 0) * (stream.time_base or 0))
            for frame in container.decode(stream):
                seen = True
                last = (frame.time or 0.0) - start
                if last + 1e-6 < due:
                    continue
                due = (last // every + 1) * every if every > 0 else 0.0
                image = _upright(frame)
                yield Frame(last, image) if is_new(image) else None
    except (av.FFmpegError, ValueError, EOFError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise (
            Refused("truncated", f"stops at {last:.1f} s: {what}") if seen else Refused("not a video", what.lower())
        ) from error
    if not seen:
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


def _upright(frame: Any) -> Image.Image:
    image: Image.Image = frame.to_image()
    turn = getattr(frame, "rotation", 0)
    return image.rotate(turn, expand=True) if turn else image
