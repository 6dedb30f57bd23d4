"""From sound files and videos to samples: clips of one voice, cut, measured and stored as FLAC."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.audio import flac
from emolab.modalities.audio.fingerprint import fingerprint
from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.reading.sound import SoundBlocks, opened
from emolab.modalities.audio.segments import LEAST, Segment, Segmenter
from emolab.modalities.audio.sound_names import SOUND_FILES
from emolab.modalities.audio.sound_quality import measure
from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.intake import Excerpt, IngestOptions, Measured, Piece
from emolab.modalities.problems import Problem, Refused, reason

if TYPE_CHECKING:
    from PIL import Image

#: Shorter clips are too little to hear an emotion in (seconds).
SHORT = 0.3
#: Seconds of a recording that may be one clip, because its label is for the whole of it.
LONGEST = 600.0
#: A file beyond full scale by more than rounding and a lossy codec explain.
_LOUD = 1.5
_FORMATS = {
    **dict.fromkeys((".wav", ".wave"), "WAV"),
    **dict.fromkeys((".aif", ".aiff", ".aifc"), "AIFF"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
    ".flac": "FLAC",
    ".mp3": "MP3",
    ".m4a": "MP4",
}


class SoundIntake:
    """Recordings, and the sound of videos, as clips."""

    files = SOUND_FILES

    def __init__(self, options: IngestOptions) -> None:
        self._options = options

    def pieces(self, media: bytes | Path | Image.Image | Excerpt, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """The clips of one recording, in order; of an excerpt one."""
        if isinstance(media, Excerpt):
            yield from self._excerpt(media, name, notes)
            return
        if not isinstance(media, bytes | Path):
            raise Refused("not a sound", "a picture of a camera or video")
        if isinstance(media, Path):
            self._check_size(media)
        cut = Segmenter(self._options.clip_seconds, activity=self._options.voice_activity)
        limit = None if math.isfinite(self._options.clip_seconds) else LONGEST
        with opened(media, max_seconds=limit) as sound:
            parent, film = "", os.path.splitext(name)[1].lower() in IMAGE_FILES.videos  # noqa: PTH122 - once per file
            for segment in cut(sound):
                parent = parent or hashlib.sha256(segment.samples.tobytes()).hexdigest()
                begin = sound.source.offset + segment.begin
                yield _piece(segment, begin, parent if cut.split else None, named=cut.split or film)
            notes.extend(_notes(name, sound, cut))

    def _excerpt(self, part: Excerpt, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """The clip that somebody cut out of a recording: trimmed as every other, never cut again."""
        cut = Segmenter(math.inf, activity=self._options.voice_activity)
        for segment in cut([part.samples.astype(np.float32) / np.float32(32768)]):
            yield _piece(segment, part.begin + segment.begin, None, named=True)
        place = f"{len(part.samples) / RATE:.2f} s from {part.begin:.2f} s on"
        if not cut.clips:
            raise Refused("nothing in it", f"{place} are never louder than {LEAST:g} dBFS")
        if not cut.heard:
            message = f"no voice was found in {place}; they went in all the same"
            notes.append(Problem(name, "no voice", message, taken=True))
        elif cut.shortest < SHORT:
            message = f"only {cut.shortest:.2f} s of {place} are left without silence"
            notes.append(Problem(name, "short", message, taken=True))

    def measured(self, pieces: Sequence[Piece]) -> list[Measured]:
        """Quality and fingerprint of each clip, which were taken when it was cut: a recording may hold thousands."""
        return [piece.rest for piece in pieces]

    def _check_size(self, path: Path) -> None:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise Refused("unreadable", reason(error)) from error
        if size > self._options.max_bytes:
            raise Refused("too large", f"{size:,} bytes; the limit is {self._options.max_bytes:,} (collect.max_bytes)")


def _piece(segment: Segment, begin: float, parent: str | None, *, named: bool) -> Piece:
    data = flac.encode(segment.samples)
    quality = measure(segment.samples, segment.heard, segment.loudness) | {"begin": round(begin, 3)}
    return Piece(
        digest=hashlib.sha256(data).hexdigest(),
        suffix=".flac",
        data=lambda: data,
        fields={"duration": round(len(segment.samples) / RATE, 3), "parent": parent},
        rest=Measured(quality, fingerprint(segment.samples)),
        name=f"@{begin:.2f}s" if named else "",
        part=parent is not None,
    )


def _notes(name: str, sound: SoundBlocks, cut: Segmenter) -> Iterator[Problem]:
    """What had to be assumed; raises :class:`Refused` where nothing came of the recording."""
    if not sound.seconds:
        raise Refused("nothing in it", "the file holds no samples")
    if not cut.clips and cut.peak == 0:
        raise Refused("nothing in it", f"{sound.seconds:,.1f} s of digital silence")
    if not cut.clips:
        heard = "no voice was found" if cut.split else f"never louder than {LEAST:g} dBFS"
        raise Refused("nothing in it", f"{heard} in {sound.seconds:,.1f} s")
    for note in sound.notes:
        yield Problem(name, "sound track" if "track" in note else "channels", note, taken=True)
    if not cut.heard and not cut.split:
        yield Problem(name, "no voice", "no voice was found in it; it went in all the same", taken=True)
    elif cut.shortest < SHORT:
        yield Problem(name, "short", f"only {cut.shortest:.2f} s are left of it without silence", taken=True)
    if cut.left_out:
        message = f"{cut.left_out:,} stretches of voice shorter than half a second were left out"
        yield Problem(name, "short voice", message, taken=True)
    if cut.peak > _LOUD:
        message = f"its values go up to {cut.peak:,.1f} times full scale; made quieter"
        yield Problem(name, "level", message, taken=True)
    announced = _FORMATS.get(os.path.splitext(name)[1].lower())  # noqa: PTH122 - called once per file
    found = sound.source.format.partition(" ")[0].removesuffix("EX")
    if announced and found.upper() != announced:
        message = f"the name says {announced}, the content is {found}; taken as {found}"
        yield Problem(name, "wrong extension", message, taken=True)
