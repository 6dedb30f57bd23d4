"""Sound files by libsndfile: WAV of all depths, FLAC, MP3, Ogg Vorbis and Opus, AIFF, AU, CAF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emolab.errors import MissingExtra
from emolab.modalities.audio.reading import sound_track
from emolab.modalities.audio.reading.stream import BLOCK_SECONDS, SoundStream
from emolab.modalities.audio.reading.whole_file import announced_seconds, says_length
from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

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
    announced = announced_seconds(stream, name)
    if name == "MP3" and not says_length(stream):  # libsndfile guesses the length by the size, and stops there
        with sound_track.opened(stream, name) as track:
            track.frames = None
            yield track
        return
    try:
        file = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError as error:
        if name in ("WAV", "Ogg", "AIFF", "CAF", "MP3") and announced is None:
            stream.seek(0)  # a codec that libsndfile does not know
            with sound_track.opened(stream, name) as track:
                yield track
            return
        if announced is not None:
            raise Refused("truncated", f"ends before the {announced:.1f} s that it announces") from error
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
