"""Sound files by libsndfile: WAV of all depths, FLAC, MP3, Ogg Vorbis and Opus, AIFF, AU, CAF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emolab.errors import MissingExtra
from emolab.modalities.audio.reading import sound_track
from emolab.modalities.audio.reading.stream import BLOCK_SECONDS, SoundStream
from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

#: A WAV that was written to a pipe announces about as much as its header can say.
_UNKNOWN = 0x7FFF0000
#: Share of the announced samples, and seconds, that may be missing: an encoder may round its length up.
_SHORT, _SHORT_SECONDS = 0.999, 0.05


class SoundFileStream:
    """A file that libsndfile opened."""

    offset = picture = 0.0

    def __init__(self, file: Any) -> None:
        self._file = file
        self.rate = int(file.samplerate)
        self.channels = int(file.channels)
        self.frames: int | None = int(file.frames)
        self.format = f"{file.format} {file.subtype.replace('_', ' ')}"
        self.notes: list[str] = []

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Blocks (n, channels) to the end of the file."""
        import soundfile

        read = 0
        try:
            while len(block := self._file.read(self.rate * BLOCK_SECONDS, dtype="float32", always_2d=True)):
                read += len(block)
                yield block
        except soundfile.SoundFileRuntimeError as error:
            begin = read / self.rate
            where = f"between {begin:.0f} and {begin + BLOCK_SECONDS:.0f} s" if begin else "in its first seconds"
            raise Refused("damaged", f"cut off or damaged {where}: {_words(error)}") from error
        if self.frames is not None and read < min(_SHORT * self.frames, self.frames - _SHORT_SECONDS * self.rate):
            raise _ends(read / self.rate, self.frames / self.rate)


@contextmanager
def opened(stream: BinaryIO, name: str) -> Iterator[SoundStream]:
    """The sound in ``stream``, of the format ``name``. Raises :class:`Refused`."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtra("soundfile", "audio") from error
    announced = _whole(stream, name)
    try:
        file = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError as error:
        if name in ("WAV", "Ogg", "AIFF", "CAF", "MP3") and announced is None:
            stream.seek(0)  # a codec that libsndfile does not know
            with sound_track.opened(stream, name) as track:
                yield track
            return
        raise Refused("damaged", _words(error)) from error
    with file:
        found = SoundFileStream(file)
        if announced is not None:
            raise _ends(found.frames / found.rate if found.frames else 0.0, announced)
        yield found


def _ends(at: float, seconds: float) -> Refused:
    return Refused("truncated", f"ends at {at:.1f} s of {seconds:.1f} s")


def _words(error: Exception) -> str:
    text = str(getattr(error, "error_string", "") or error)
    return text.rstrip(".").removeprefix("Error : ").lower()


def _whole(stream: BinaryIO, name: str) -> float | None:
    """The seconds that a cut-off file announces, ``None`` for one that is whole as far as its container can tell.

    Raises :class:`Refused` where nothing of the sound is there.
    """
    size = stream.seek(0, 2)
    try:
        if name == "WAV":
            return _whole_wav(stream, size)
        if name == "Ogg":
            _whole_ogg(stream, size)
        return None
    finally:
        stream.seek(0)


def _whole_wav(stream: BinaryIO, size: int) -> float | None:
    stream.seek(0)
    order = "big" if stream.read(12).startswith(b"RIFX") else "little"
    at, per_second = 12, 0
    while True:
        stream.seek(at)
        header = stream.read(8)
        if len(header) < 8:
            raise Refused("truncated", "the file ends before its sound begins")
        length = int.from_bytes(header[4:], order)  # type: ignore[arg-type]
        if header[:4] == b"fmt ":
            per_second = int.from_bytes(stream.read(12)[8:], order)  # type: ignore[arg-type]
        if header[:4] == b"data":
            missing = length < _UNKNOWN and at + 8 + length > size
            return length / per_second if missing and per_second else None
        at += 8 + length + length % 2


def _whole_ogg(stream: BinaryIO, size: int) -> None:
    """Whether the last page is there in full; pages are at most 65,307 bytes."""
    start = max(0, size - 70_000)
    stream.seek(start)
    tail = stream.read()
    page = tail.rfind(b"OggS")
    while page >= 0:
        table = tail[page + 26 : page + 27]
        if not table or page + 27 + table[0] > len(tail):
            raise Refused("truncated", "the file ends within a page")
        length = 27 + table[0] + sum(tail[page + 27 : page + 27 + table[0]])
        if page + length > len(tail):
            raise Refused("truncated", "the file ends within a page")
        return
