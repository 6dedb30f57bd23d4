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
from contextlib import closing
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
    try:
        return _load(media, max_seconds, None)
    except MissingExtra:
        raise
    except OSError as error:
        raise Refused("unreadable", reason(error)) from error


def _load(media: bytes | Path, max_seconds: float | None, channel: int | None) -> Sound:
    stream: BinaryIO = io.BytesIO(media) if isinstance(media, bytes) else open_file(media)
    with closing(stream):
        head = stream.read(HEAD)
        decoder, name = container(head)
        stream.seek(0)
        opened = sound_file.opened if decoder == "soundfile" else sound_track.opened
        with opened(stream, name) as source:
            _check(source, max_seconds)
            mixed = Mixer(source, channel)
            resampled = list(_resampled(mixed, source.rate, max_seconds))
            samples = resampled[0] if len(resampled) == 1 else np.concatenate([_NOTHING, *resampled])
    if not len(samples):
        raise Refused("nothing in it", "the file holds no samples")
    if mixed.cancelled and channel is None:
        found = _load(media, max_seconds, mixed.loudest)
        note = f"its channels cancel each other out; channel {mixed.loudest + 1} of {source.channels} was taken"
        return Sound(**{**vars(found), "notes": (*found.notes, note)})
    return Sound(
        samples=samples,
        rate=source.rate,
        channels=source.channels,
        seconds=mixed.frames / source.rate,
        format=source.format,
        offset=source.offset,
        notes=tuple(source.notes),
    )


def _check(source: SoundStream, max_seconds: float | None) -> None:
    if not LOWEST <= source.rate <= HIGHEST:
        raise Refused("unsupported", f"{source.rate:,} samples a second; {LOWEST:,} to {HIGHEST:,} are read")
    if source.channels > _MOST_CHANNELS:
        raise Refused("unsupported", f"{source.channels} channels; up to {_MOST_CHANNELS} are read")
    if source.frames is not None and max_seconds is not None and source.frames > max_seconds * source.rate:
        raise _too_long(source.frames / source.rate, max_seconds)


def _too_long(seconds: float, limit: float, more: str = "") -> Refused:
    return Refused("too long", f"{more}{seconds:,.0f} s; the limit is {limit:,.0f} s (collect.max_seconds)")


class Mixer:
    """The blocks of a source as one channel; watches whether its channels cancel each other out."""

    def __init__(self, source: SoundStream, channel: int | None) -> None:
        self._source = source
        self._channel = channel
        self._energy = np.zeros(source.channels)
        self._mixed = 0.0
        self.frames = 0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for block in self._source.blocks():
            if not np.isfinite(block).all():
                at = (self.frames + int(np.argmin(np.isfinite(block).all(axis=1)))) / self._source.rate
                raise Refused("damaged", f"at {at:.2f} s it holds a value that is no number (NaN or infinite)")
            self.frames += len(block)
            if block.shape[1] == 1:
                yield np.ascontiguousarray(block[:, 0])
                continue
            mono = block.mean(axis=1, dtype=np.float32) if self._channel is None else block[:, self._channel].copy()
            self._energy += np.einsum("ij,ij->j", block, block)
            self._mixed += float(mono @ mono)
            yield mono

    @property
    def loudest(self) -> int:
        """The channel with the most energy."""
        return int(np.argmax(self._energy))

    @property
    def cancelled(self) -> bool:
        """Whether the mean of the channels is next to nothing beside them."""
        return self._mixed < _CANCELLED * float(self._energy.mean()) / len(self._energy)


def _resampled(mixed: Mixer, rate: int, max_seconds: float | None) -> Iterator[NDArray[np.float32]]:
    """The blocks of ``mixed`` at 16 kHz; their number of samples is that of the file, times 16,000 / ``rate``."""
    limit = None if max_seconds is None else max_seconds * rate
    if rate == RATE:
        for block in mixed:
            _limit(mixed, rate, limit)
            yield block
        return
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra("soxr", "audio") from error
    resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
    before: NDArray[np.float32] | None = None  # the last block has to be known as such
    for block in mixed:
        _limit(mixed, rate, limit)
        if before is not None:
            yield resampler.resample_chunk(before)
        before = block
    if before is not None:
        yield resampler.resample_chunk(before, last=True)


def _limit(mixed: Mixer, rate: int, limit: float | None) -> None:
    if limit is not None and mixed.frames > limit:
        raise _too_long(mixed.frames / rate, limit / rate, "more than ")
