"""The one way from a sample's bytes to the array a network sees, whatever the sample is.

Every array is a picture of bytes: of a face, or of a sound (its spectrogram). So one cache, one training and one kind
of exported model serve all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.errors import ConfigError, DataError
from emolab.files import TooLarge, read_file
from emolab.inference import prediction_store
from emolab.modalities.modality import open_modality
from emolab.modalities.speaker_levels import applied

#: How samples are prepared for a network. A change of any value needs a new number.
#: 1: JPEGs reduced by Pillow's draft mode. 2: JPEGs by a scaled cosine transform. 3: everything in full.
VERSION = prediction_store.PREPARATION
#: What a training may learn from: JPEGs as in 2, everything else as in 3.
SCALED = 2
#: What models may have learned from; they are all given samples of ``VERSION``.
VERSIONS = (1, 2, 3)


@dataclass(frozen=True)
class Color:
    """One way in which a network may be shown samples.

    ``wide`` says how much wider than high the array is, ``mirrors`` whether its mirror image shows the same emotion,
    ``faces`` whether faces are looked for in larger pictures, ``voices`` whether a stream of sound may be listened to,
    ``by_speaker`` whether it may be normalised by speaker.
    """

    modality: str
    channels: int
    wide: int = 1
    mirrors: bool = True
    faces: bool = True
    voices: bool = False
    by_speaker: bool = False


COLORS = {
    "gray": Color("image", 1),
    "rgb": Color("image", 3),
    "sound": Color("audio", 1, wide=4, mirrors=False, faces=False, voices=True, by_speaker=True),
    "whisper": Color("audio", 1, wide=5, mirrors=False, faces=False, voices=True),
}

#: What ``training.normalise`` may be, and what every report calls it; nothing is said of the first.
NONE, SPEAKER = "none", "speaker"
NORMALISED = {NONE: None, SPEAKER: "speaker (transductive)"}


class Unprepared(DataError):
    """Media that cannot be decoded or hold nothing; ``reason`` says why, without their name."""

    #: What they cannot be read as.
    KIND = "a sample"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be read as {self.KIND}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Preprocessing:
    """How a sample becomes an array of bytes, by which version of :func:`decode`.

    An image becomes (size, size, channels); a sound its spectrogram, for "sound" of ``size`` bands and ``4 * size``
    frames, for "whisper" of 80 and 400. With ``normalise`` "speaker" each picture is then normalised by all known clips
    of its speaker (:mod:`emolab.modalities.speaker_levels`).
    """

    size: int
    color: str  # gray | rgb | sound | whisper
    version: int = VERSION
    normalise: str = NONE

    @property
    def channels(self) -> int:
        """1 or 3."""
        return COLORS[self.color].channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the array: height, width, channels."""
        return self.size, COLORS[self.color].wide * self.size, self.channels

    @property
    def modality(self) -> str:
        """What the samples are."""
        return COLORS[self.color].modality

    @property
    def words(self) -> str:
        """What a network is shown, in words: gray images of 48 x 48 pixels."""
        height, width, _ = self.shape
        if self.has_faces:
            return f"{self.color} images of {height} x {width} pixels"
        by = f", normalised by {self.normalised_by}" if self.normalised_by else ""
        return f"spectrograms of {height} bands and {width} frames{by}"

    @property
    def normalised_by(self) -> str | None:
        """By what pictures are normalised, as every report says it; ``None``: each stands for itself."""
        return NORMALISED[self.normalise]

    @property
    def plain(self) -> Preprocessing:
        """The same before it is normalised by anything but itself."""
        return replace(self, normalise=NONE)

    @property
    def mirrors(self) -> bool:
        """Whether a mirror image says the same: of faces it does, of sounds it would run backwards."""
        return COLORS[self.color].mirrors

    @property
    def has_faces(self) -> bool:
        """Whether faces are looked for in media that are larger than one."""
        return COLORS[self.color].faces

    @property
    def has_voices(self) -> bool:
        """Whether windows of a stream of sound are what a network is shown."""
        return COLORS[self.color].voices

    @property
    def scaled(self) -> Preprocessing:
        """The quicker way, for samples to learn from."""
        return replace(self, version=SCALED)


def require_faces(wanted: Preprocessing, what: str) -> None:
    """Raise :class:`ConfigError` where ``what``, which is made for faces in pictures, is asked of another model."""
    if not wanted.has_faces:
        noun = open_modality(wanted.modality).noun
        raise ConfigError(
            f"{what} is for models of faces, and this one answers about {noun}s.",
            hint=f"Ask it about {noun}s: emolab predict MODEL PATH",
        )


def require_voices(wanted: Preprocessing, what: str) -> None:
    """Raise :class:`ConfigError` where ``what``, which is made for voices, is asked of another model."""
    if not wanted.has_voices:
        raise ConfigError(
            f"{what} is for models of voices, and this one answers about {open_modality(wanted.modality).noun}s.",
            hint="Name a model of voices, as a workspace of voices trains it (docs/audio.md).",
        )


def require_alone(wanted: Preprocessing, what: str) -> None:
    """Raise :class:`ConfigError` where ``what``, which looks at each clip by itself, is asked of a normalised model."""
    if wanted.normalise != NONE:
        raise ConfigError(
            f"{what} looks at each clip by itself; this model is normalised by {wanted.normalised_by}, so it needs all "
            "clips of one.",
            hint="Use: emolab predict MODEL PATH --group-by WHO; or train one with --set training.normalise=none",
        )


def require_speakers(normalise: str, color: Color | None, what: str) -> None:
    """Raise :class:`ConfigError` where ``normalise`` is asked of samples of a ``color`` without it, called ``what``."""
    if normalise != NONE and not (color and color.by_speaker):
        raise ConfigError(
            f"training.normalise is {normalise}, which is for spectrograms of voices, and not for {what}.",
            hint="Leave it out: --set training.normalise=none",
        )


@dataclass(frozen=True)
class Prepared:
    """``pixels`` (height, width, channels) of a sample; ``note`` says why they may be worth little, if they may."""

    pixels: NDArray[np.uint8]
    note: str | None = None


def prepare(
    media: bytes | Path,
    wanted: Preprocessing,
    *,
    max_pixels: int | None = None,
    table: NDArray[np.uint8] | None = None,
) -> Prepared:
    """What a network is shown of encoded media, decoded in full, with a note.

    ``table`` is that of the speaker (:mod:`emolab.modalities.speaker_levels`) where ``wanted`` is normalised. Raises
    :class:`Unprepared` for what is no such media, holds nothing, or is larger than ``max_pixels`` (of images), and
    :class:`ConfigError` where the table is missing.
    """
    if table is None:
        require_alone(wanted, "This")
        return open_modality(wanted.modality).prepare(media, wanted, max_pixels=max_pixels)
    found = open_modality(wanted.modality).prepare(media, wanted.plain, max_pixels=max_pixels)
    return replace(found, pixels=applied(found.pixels[None], table[None])[0])


def decode(media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
    """The array of :func:`prepare`, or one that was decoded more quickly where ``wanted`` is scaled.

    Raises :class:`Unprepared`, and :class:`ConfigError` where ``wanted`` is normalised.
    """
    require_alone(wanted, "This")
    return open_modality(wanted.modality).decode(media, wanted)


def decode_many(
    media: Sequence[bytes | Path], wanted: Preprocessing, *, pool: ThreadPoolExecutor | None = None
) -> NDArray[np.uint8]:
    """Arrays (n, height, width, channels), on the threads of ``pool`` where one is given."""
    out = np.empty((len(media), *wanted.shape), dtype=np.uint8)
    walk = pool.map if pool else map
    for row, pixels in enumerate(walk(lambda item: decode(item, wanted), media)):
        out[row] = pixels
    return out


def bytes_of(media: bytes | Path, error: type[Unprepared]) -> bytes:
    """The bytes of ``media``; raises ``error`` for a file that cannot be read."""
    if isinstance(media, bytes):
        return media
    try:
        return read_file(media)
    except OSError as raised:
        raise error(str(media), (raised.strerror or str(raised)).lower()) from raised
    except TooLarge as raised:
        raise error(str(media), str(raised)) from raised


def name_of(media: bytes | Path) -> str:
    """What ``media`` are called in a message."""
    return "these bytes" if isinstance(media, bytes) else str(media)
