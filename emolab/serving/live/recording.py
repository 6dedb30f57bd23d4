"""Recording a live picture as a video, each frame at the time it had."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import ConfigError, DataError, MissingExtra

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

#: Ticks of a second in the file.
_TICKS = 1000
#: Encoders to try, the best first.
_CODECS = ("libx264", "libopenh264", "mpeg4")
SUFFIXES = (".mp4", ".mkv", ".mov")


class Recorder:
    """Writes frames to ``path``; a context manager. The size is that of the first frame, others are fitted to it.

    Raises :class:`ConfigError` for a name that is no video's, :class:`DataError` where it cannot be written.
    """

    def __init__(self, path: Path, *, rate: int = 30) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{path} is no name of a video.", hint=f"Let it end in {' or '.join(SUFFIXES)}.")
        try:
            import av
        except ImportError as error:
            raise MissingExtra("PyAV", "serve") from error
        self._av, self._rate, self.path, self.frames = av, rate, path, 0
        self._stream: Any = None
        self._last = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(path), "w")
        except (OSError, av.FFmpegError) as error:
            raise DataError(f"{path} cannot be written: {getattr(error, 'strerror', error)}.") from error

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, seconds: float, pixels: NDArray[np.uint8]) -> None:
        """Add a frame (height, width, 3), red first, that is shown from ``seconds`` on."""
        if self._stream is None:
            self._stream = self._begin(pixels.shape[1], pixels.shape[0])
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        self._last = max(self._last + 1, round(seconds * _TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Complete the file; without a frame there is none."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        if self._stream is None:
            self.path.unlink(missing_ok=True)

    def _begin(self, width: int, height: int) -> Any:
        name = next(name for name in _CODECS if name in self._av.codecs_available)
        stream: Any = self._container.add_stream(name, rate=self._rate)
        stream.width, stream.height = width - width % 2 or 2, height - height % 2 or 2  # yuv420p halves both
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        if name == "libx264":
            # no B-frames: with times of any distance a file may begin before its first one, which readers leave out
            stream.options = {"preset": "veryfast", "crf": "23", "bf": "0"}
        else:
            stream.bit_rate = 4_000_000
        return stream
