"""Clips of sound as a modality."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.modalities.audio import reading
from emolab.modalities.audio.clip_look import clip_look
from emolab.modalities.audio.clip_picture import clip_picture, coloured
from emolab.modalities.audio.features import SUMMARY, describe, summary, summary_names
from emolab.modalities.audio.pitch_shift import shifted_clip
from emolab.modalities.audio.reading.sound import Sound
from emolab.modalities.audio.reading.sound_contents import HEAD, container
from emolab.modalities.audio.spectrogram import described, picture
from emolab.modalities.modality import FormElement, Measures, OwnNetwork
from emolab.modalities.preparing import Prepared, Preprocessing, Unprepared, name_of
from emolab.modalities.problems import Refused

#: Bands of the picture that stands for a clip.
BANDS = 64
#: Full scale is 1; what stays below this all along is silence (-80 dB, three steps of 16 bits).
SILENCE = 1e-4
#: A longer recording is no clip: it would be decoded whole for its loudest four seconds.
LONGEST = 600.0


#: What browsers play, by the names that :func:`container` gives: suffix and media type.
TYPES = {
    "FLAC": ("flac", "audio/flac"),
    "WAV": ("wav", "audio/wav"),
    "MP3": ("mp3", "audio/mpeg"),
    "Ogg": ("ogg", "audio/ogg"),
    "MP4": ("m4a", "audio/mp4"),
}
#: Width and height of the picture that stands for a clip.
THUMBNAIL = (128, 128)


class UnreadableSound(Unprepared):
    """A sound file that cannot be decoded or is silent."""

    KIND = "a sound"


class AudioModality:
    """Voices: clips of some seconds."""

    name = "audio"
    noun = "clip"
    settings: Mapping[str, str] = {"training.backbone": "voice16"}
    speakers = True
    network: OwnNetwork | None = OwnNetwork("voice16", "the speech of RAVDESS", ("ravdess",))
    form = FormElement("Audio", {"hotkey": "space", "speed": "true", "volume": "true", "zoom": "false", "height": "80"})
    endings = ".wav, .flac, .mp3"
    in_fiftyone = True
    several_labels = False
    drawing: Callable[[bytes, tuple[int, int]], bytes] | None = staticmethod(clip_picture)
    disguise: Callable[[bytes, float], bytes] | None = staticmethod(shifted_clip)
    measures: Measures | None
    shown = "FLAC, WAV, MP3, Ogg or MP4 sound"
    thumbnail_type = "image/jpeg"

    def __init__(self) -> None:
        self.measures = Measures(summary_names(), SUMMARY, self._measured)

    def _measured(self, media: bytes | Path) -> NDArray[np.float32]:
        return summary(describe(self._heard(media).samples, reading.RATE))

    def file_type(self, data: bytes) -> tuple[str, str] | None:
        """What the bytes themselves show."""
        try:
            return TYPES.get(container(data[:HEAD])[1])
        except Refused:
            return None

    def thumbnail(self, data: bytes, *, max_pixels: int) -> bytes:  # noqa: ARG002
        """The spectrogram, low tones at the foot, in the colours of a thermal camera."""
        try:
            heard = self.decode(data, Preprocessing(BANDS, "sound"))[::-1, :, 0]
        except UnreadableSound as error:
            raise Refused("unreadable", error.reason) from error
        voiced = np.flatnonzero(heard.any(axis=0))
        picture = Image.fromarray(heard[:, voiced[0] : voiced[-1] + 1]).resize(THUMBNAIL, Image.Resampling.BILINEAR)
        out = io.BytesIO()
        coloured(picture).save(out, "JPEG", quality=85)
        return out.getvalue()

    def recognises(self, head: bytes) -> bool:
        """Whether ``head`` is how a format begins that is read as a sound."""
        try:
            container(head)
        except Refused:
            return False
        return True

    def gray(self, media: bytes | Path) -> NDArray[np.uint8]:
        """What its copies show too (:mod:`.clip_look`); the spectrogram where that is flat, as of a very short clip."""
        samples = self._heard(media).samples
        seen = clip_look(samples)
        return seen if seen.min() < seen.max() else picture(samples, Preprocessing(BANDS, "sound"))[:, :, 0]

    def color(self, media: Sequence[bytes | Path]) -> str:  # noqa: ARG002
        """``sound``: there is one way only."""
        return "sound"

    def prepare(self, media: bytes | Path, wanted: Preprocessing, *, max_pixels: int | None = None) -> Prepared:  # noqa: ARG002
        """The spectrogram (see :func:`emolab.modalities.audio.spectrogram.picture`), and what had to be assumed."""
        sound = self._heard(media)
        return Prepared(picture(sound.samples, wanted), "; ".join(sound.notes) or None)

    def _heard(self, media: bytes | Path) -> Sound:
        try:
            sound = reading.load(media, max_seconds=LONGEST)
        except Refused as refused:
            raise UnreadableSound(name_of(media), f"{refused.kind}: {refused.message}") from refused
        except OSError as error:
            raise UnreadableSound(name_of(media), (error.strerror or str(error)).lower()) from error
        if np.abs(sound.samples).max() < SILENCE:
            raise UnreadableSound(name_of(media), "nothing in it: silence")
        return sound

    def decode(self, media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
        """The same spectrogram; there is no quicker one."""
        return self.prepare(media, wanted).pixels

    def described(self, wanted: Preprocessing) -> dict[str, Any]:
        """Every step from a file to what the network sees."""
        return described(wanted) | {"version": wanted.version, "color": wanted.color}
