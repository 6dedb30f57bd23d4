"""What the rest of emolab may ask of a modality. Nothing outside ``emolab/modalities`` asks which one it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emolab.plugins import MODALITIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.preparing import Prepared, Preprocessing


#: Bytes at the start of a file by which it is recognised.
HEAD = 64


@dataclass(frozen=True)
class FormElement:
    """What shows a sample on a form of Label Studio: the name of a tag and its attributes."""

    tag: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class OwnNetwork:
    """The network of a modality that comes with emolab: its name, and the ``data`` it learned from, with readers."""

    name: str
    data: str
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Measures:
    """What is measured of one sample, besides what a network is shown.

    ``names`` of the numbers in order; ``take`` gives them (len(names),) float32 of media and raises
    :class:`emolab.modalities.preparing.Unprepared`. Numbers are kept by ``version``: whoever changes one raises it.
    """

    names: tuple[str, ...]
    version: int
    take: Callable[[bytes | Path], NDArray[np.float32]]


class Modality(Protocol):
    """One kind of sample: how it is read, and what a network is shown of it."""

    #: As in ``project.modality``.
    name: str
    #: What one sample is called in a message, such as image or clip; its plural ends in s.
    noun: str
    #: Settings that a new workspace begins with where emolab's defaults are not for it; at most one of a section.
    settings: Mapping[str, str]

    #: Whether a group is a person by whom a model knows its samples again: splits that divide one are refused.
    speakers: bool
    #: The network that answers before there is a model; ``None`` where emolab brings none.
    network: OwnNetwork | None

    #: What shows it to annotators on the labelling server.
    form: FormElement
    #: How names of its files may end, in words.
    endings: str
    #: Whether FiftyOne shows its samples: their files, or what ``drawing`` makes of them.
    in_fiftyone: bool
    #: Whether a sample may have several labels: its models judge each class by itself.
    several_labels: bool
    #: A PNG of a size (width, height) that stands for a file where only pictures are shown; ``None``: it is one itself,
    #: or nothing is drawn. Raises :class:`emolab.modalities.problems.Refused`.
    drawing: Callable[[bytes, tuple[int, int]], bytes] | None
    #: A file with all frequencies of its voice times a ratio; ``None`` where samples have no voice. Raises as above.
    disguise: Callable[[bytes, float], bytes] | None
    #: What is measured of a sample for models of other programs; ``None`` where nothing is.
    measures: Measures | None
    #: What browsers can show of it, in words.
    shown: str
    #: What :meth:`thumbnail` makes: image/jpeg or image/svg+xml.
    thumbnail_type: str

    def file_type(self, data: bytes) -> tuple[str, str] | None:
        """Suffix without a dot and media type of ``data`` that a browser can show or play; ``None`` for others."""
        ...

    def thumbnail(self, data: bytes, *, max_pixels: int) -> bytes:
        """A small picture that stands for ``data``. Raises :class:`emolab.modalities.problems.Refused`."""
        ...

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with ``head`` (64 bytes or all of it) is probably one of these."""
        ...

    def gray(self, media: bytes | Path) -> NDArray[np.uint8]:
        """A picture (height, width) of ``media`` by which it is recognised again, however it is stored.

        Raises :class:`emolab.modalities.preparing.Unprepared`.
        """
        ...

    def color(self, media: Sequence[bytes | Path]) -> str:
        """What a network is shown of such ``media`` where the settings do not say: gray, rgb, sound."""
        ...

    def prepare(self, media: bytes | Path, wanted: Preprocessing, *, max_pixels: int | None = None) -> Prepared:
        """What a network sees, with a note; see :func:`emolab.modalities.preparing.prepare`."""
        ...

    def decode(self, media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
        """The array alone; see :func:`emolab.modalities.preparing.decode`."""
        ...

    def described(self, wanted: Preprocessing) -> dict[str, Any]:
        """What :meth:`prepare` does, step by step, for the document of an exported model."""
        ...


def recognised(media: Sequence[bytes | Path]) -> Modality:
    """What ``media`` that belong to no workspace are, by how the first readable one begins; images where none is."""
    for item in media:
        try:
            head = item[:HEAD] if isinstance(item, bytes) else _head(item)
        except OSError:
            continue
        return next((kind for kind in map(open_modality, MODALITIES.names()) if kind.recognises(head)), _images())
    return _images()


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(HEAD)


def _images() -> Modality:
    return open_modality("image")


@cache
def open_modality(name: str) -> Modality:
    """The modality called ``name``. Raises :class:`emolab.errors.UnknownName`."""
    made: Modality = MODALITIES.load(name)()
    return made
