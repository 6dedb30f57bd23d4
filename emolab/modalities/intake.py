"""How files of a modality become samples: what collecting and merging ask, without asking which modality it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emolab.plugins import INTAKES
from emolab.ranges import WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from emolab.modalities.problems import Problem

FACES = WORDS["collect.faces"]


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How items become samples.

    ``faces``: ``off`` keeps images as they are; ``all`` and ``largest`` cut out what the detector finds; ``auto`` is
    ``all`` for images whose shorter side is above ``tight`` pixels and ``off`` for smaller ones, which are taken as
    face crops already. An image without a face is kept whole with quality ``faces`` 0. ``detector`` is the path of
    the weights, "" the bundled ones. ``clip_seconds`` is how long a clip of sound may be;
    infinity makes one clip of every input, as a label belongs to the whole of it. ``masking``
    takes names, addresses and numbers out of sentences; ``text_column`` is where a table has them, "" the usual names.
    ``voice_activity`` says who finds voice in sound: webrtc or silero.
    ``transcriber`` is a folder with a whisper model that writes down what is said in recordings, in the language
    ``spoken`` ("": as it hears it).
    """

    faces: str = "off"
    detector: str = ""
    min_score: float = 0.6
    detect_size: int = 640
    detect_again: int = 12_000_000
    min_face: int = 32
    margin: float = 0.25
    tight: int = 100
    max_pixels: int = 100_000_000
    max_bytes: int = 512 << 20
    dry_run: bool = False
    modality: str = field(default="image", repr=False)
    clip_seconds: float = field(default=12.0, repr=False)
    masking: bool = field(default=True, repr=False)
    text_column: str = field(default="", repr=False)
    voice_activity: str = field(default="webrtc", repr=False)
    transcriber: str = field(default="", repr=False)
    spoken: str = field(default="", repr=False)

    def ledger_key(self) -> str:
        """What names these options in the ledger of inputs; ledgers of earlier releases go by the same words."""
        words = repr(self).replace(type(self).__name__, "Options", 1)
        if self.modality == IngestOptions.modality:
            return words
        sentences = "" if self.masking and not self.text_column else f"{self.masking} {self.text_column} "
        if self.transcriber:
            sentences += f"{_version(self.transcriber)} {self.spoken} "
        heard = "" if self.voice_activity == "webrtc" else f"{self.voice_activity} "
        return f"{self.modality} {self.clip_seconds} {sentences}{heard}{words}"


def _version(folder: str) -> str:
    """What changes when another model lies in ``folder``."""
    path = Path(folder).absolute()
    files = sorted(path.iterdir()) if path.is_dir() else []
    return " ".join((str(path), *(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a recording: ``samples`` (n,) of 16 bits at 16 kHz, from second ``begin`` on the recording's clock."""

    begin: float
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """Which files of a folder are samples by their suffix: ``media``; ``videos`` are those whose frames are samples.

    ``recordings`` are those in which somebody speaks, and whose parts (see :class:`Excerpt`) hold samples. Files
    whose suffix says nothing are samples when they begin with one of ``starts``. ``clip_tables``: a table may say
    which parts of recordings are samples.
    """

    media: frozenset[str]
    videos: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()
    starts: tuple[bytes, ...] = ()
    clip_tables: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A sample cut out of one input, before it is measured.

    ``digest`` is the hex sha256 of ``data()``, which is stored with ``suffix``. ``fields`` are those of
    :class:`emolab.records.Sample` that are known by now; ``name`` is added to the input's; ``rest`` is what is left
    to be measured. ``part`` says that the input was cut into several; ``group`` is the one that the input itself names.
    """

    digest: str
    suffix: str
    data: Callable[[], bytes]
    fields: Mapping[str, Any]
    rest: Any
    name: str = ""
    part: bool = False
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a piece is like: ``quality`` in numbers, and by what copies are found: ``look``, and ``phash`` of images."""

    quality: dict[str, float]
    look: NDArray[np.uint8]
    phash: int | None = None


class Intake(Protocol):
    """Turns inputs into pieces; one for all threads."""

    @property
    def files(self) -> FileNames:
        """Which files it takes, by its options."""
        ...

    def __init__(self, options: IngestOptions) -> None:
        """Raise :class:`emolab.errors.EmolabError` for options that make no sense."""

    def pieces(self, media: bytes | Path | Image.Image | Excerpt, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """The samples in one input called ``name``; ``notes`` gets what had to be assumed.

        Raises :class:`emolab.modalities.problems.Refused`.
        """
        ...

    def measured(self, pieces: Sequence[Piece]) -> list[Measured]:
        """What each of ``pieces`` is like."""
        ...


def open_intake(options: IngestOptions) -> Intake:
    """The intake of the modality of ``options``."""
    made: Intake = INTAKES.load(options.modality)(options)
    return made


def files_of(modality: str) -> FileNames:
    """The files that are samples of ``modality`` where no setting says more."""
    return open_intake(IngestOptions(modality=modality)).files
