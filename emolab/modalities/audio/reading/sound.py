"""From a sound file to what emolab hears: one channel, float32, 16 kHz.

1. The first bytes say which decoder reads the file, never its name: libsndfile (WAV, FLAC, MP3, Ogg, AIFF, ...) or
   FFmpeg (M4A, and the sound of videos). Both take off what an encoder put in front of the sound.
2. It is decoded block by block; channels are averaged, values that are no numbers refused, other rates brought to
   16 kHz (soxr, HQ). So the memory needed is that of the result, whatever the file announces.
3. A file that ends before its time is refused, as a picture is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import MissingExtra
from emolab.files import open_file
from emolab.modalities.audio.reading import sound_file, sound_track
from emolab.modalities.audio.reading.sound_contents import HEAD, container
from emolab.modalities.audio.reading.stream import SoundStream
from emolab.modalities.problems import Refused, reason

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

#: Samples a second of whatever emolab hears.
RATE = 16_000
#: Rates that are read: a telephone has 8 kHz, the best microphones 384.
LOWEST, HIGHEST = 4_000, 768_000
#: Where the channels cancel each other to less than this share of their energy, one is taken instead of the mean.
_CANCELLED = 0.02
#: More channels than any recording of people has.
_MOST_CHANNELS = 64
_NOTHING = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A decoded file.

    ``samples`` (n,) float32, mono at 16 kHz, full scale -1..1 (a lossy or float file may go beyond). Of the file:
    ``rate`` in Hz, ``channels``, ``seconds``, ``format``; ``offset`` is when the sound begins on the clock of the video
    it belongs to, in seconds. ``notes`` are sentences about what had to be assumed.
    """

    samples: NDArray[np.float32]
    rate: int
    channels: int
    seconds: float
    format: str
    offset: float = 0.0
    notes: tuple[str, ...] = ()


def load(media: bytes | Path, *, max_seconds: float | None = None) -> Sound:
    """The sound of a file, given as its bytes or its path.

    Raises :class:`Refused`: empty, not a sound, no sound (a video without), unsupported, too long, truncated, damaged,
    nothing in it.
    """
    with opened(media, max_seconds=max_seconds) as found:
        blocks = list(found)
        if not any(map(len, blocks)):
            raise Refused("nothing in it", "the file holds no samples")
        return Sound(
            samples=blocks[0] if len(blocks) == 1 else np.concatenate([_NOTHING, *blocks]),
            rate=found.source.rate,
            channels=found.source.channels,
            seconds=found.seconds,
            format=found.source.format,
            offset=found.source.offset,
            notes=tuple(found.notes),
        )


@contextmanager
def opened(media: bytes | Path, *, max_seconds: float | None = None) -> Iterator[SoundBlocks]:
    """The sound of a file block by block, for recordings of any length. Raises as :func:`load` does."""
    try:
        stream: BinaryIO = io.BytesIO(media) if isinstance(media, bytes) else open_file(media)
        with closing(stream):
            head = stream.read(HEAD)
            decoder, name = container(head)
            stream.seek(0)
            reader = sound_file.opened if decoder == "soundfile" else sound_track.opened
            with reader(stream, name) as source:
                _check(source, max_seconds)
                yield SoundBlocks(source, max_seconds)
    except OSError as error:
        raise Refused("unreadable", reason(error)) from error


def _check(source: SoundStream, max_seconds: float | None) -> None:
    if not LOWEST <= source.rate <= HIGHEST:
        raise Refused("unsupported", f"{source.rate:,} samples a second; {LOWEST:,} to {HIGHEST:,} are read")
    if source.channels > _MOST_CHANNELS:
        raise Refused("unsupported", f"{source.channels} channels; up to {_MOST_CHANNELS} are read")
    if source.frames is not None and max_seconds is not None and source.frames > max_seconds * source.rate:
        raise _too_long(source.frames / source.rate, max_seconds)


def _too_long(seconds: float, limit: float, more: str = "") -> Refused:
    return Refused("too long", f"{more}{seconds:,.0f} s; the limit is {limit:,.0f} s")


class SoundBlocks:
    """An open file as blocks (n,) of float32, mono at 16 kHz; iterated once.

    The channel that stands for all of them where they cancel each other out is chosen in the first block that shows
    it, for the rest of the file.
    """

    def __init__(self, source: SoundStream, max_seconds: float | None = None) -> None:
        self.source = source
        self.notes: list[str] = source.notes
        self._limit = max_seconds
        self._channel: int | None = None
        self._frames = 0

    @property
    def seconds(self) -> float:
        """What was read so far, on the file's own clock."""
        return self._frames / self.source.rate

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Their number of samples is that of the file, times 16,000 / its rate."""
        if self.source.rate == RATE:
            yield from self._mixed()
            return
        try:
            import soxr
        except ImportError as error:
            raise MissingExtra("soxr", "audio") from error
        resampler = soxr.ResampleStream(self.source.rate, RATE, 1, dtype="float32", quality="HQ")
        before: NDArray[np.float32] | None = None  # the last block has to be known as such
        for block in self._mixed():
            if before is not None:
                yield resampler.resample_chunk(before)
            before = block
        if before is not None:
            yield resampler.resample_chunk(before, last=True)

    def _mixed(self) -> Iterator[NDArray[np.float32]]:
        """Blocks of one channel at the rate of the file."""
        for block in self.source.blocks():
            if not np.isfinite(block).all():
                at = (self._frames + int(np.argmin(np.isfinite(block).all(axis=1)))) / self.source.rate
                raise Refused("damaged", f"at {at:.2f} s it holds a value that is no number (NaN or infinite)")
            self._frames += len(block)
            if self._limit is not None and self.seconds > self._limit:
                raise _too_long(self.seconds, self._limit, "more than ")
            yield np.ascontiguousarray(block[:, 0]) if block.shape[1] == 1 else self._one(block)

    def _one(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._channel is None:
            mono: NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
            energy = np.einsum("ij,ij->j", block, block)
            if float(mono @ mono) >= _CANCELLED * float(energy.mean()) / len(energy):
                return mono
            self._channel = int(np.argmax(energy))
            self.notes.append(
                f"its channels cancel each other out; channel {self._channel + 1} of {len(energy)} was taken"
            )
        return np.ascontiguousarray(block[:, self._channel])
