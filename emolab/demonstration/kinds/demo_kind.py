"""What the demo has to know about one kind of sample; everything else in it is the same for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from emolab.errors import UnknownName
from emolab.modalities.modality import open_modality
from emolab.training.networks import bundled

if TYPE_CHECKING:
    from numpy.random import Generator

#: The largest picture that is made smaller for the page.
MAX_PIXELS = 30_000_000
#: Modality -> where its kind is.
KINDS: Mapping[str, str] = {
    "image": "emolab.demonstration.kinds.face_kind:FACES",
    "audio": "emolab.demonstration.kinds.voice_kind:VOICES",
    "text": "emolab.demonstration.kinds.sentence_kind:SENTENCES",
}


@dataclass(frozen=True, kw_only=True)
class MadeSample:
    """One sample that emolab made: the bytes of its file, whose it is, and how people answer.

    ``person`` is empty where nobody is in it. ``answers`` maps a class or meta label to the share of people who would
    give it (sums to 1).
    """

    data: bytes
    name: str
    person: str
    answers: Mapping[str, float]


class SampleMaker(Protocol):
    """What makes samples: the same bytes for the same generator, however many processes (``jobs``) there are."""

    def __call__(self, n: int, rng: Generator, *, jobs: int) -> Iterator[MadeSample]:
        """``n`` samples of several people, streamed."""
        ...


@dataclass(frozen=True, kw_only=True)
class DemoKind:
    """One kind of sample.

    ``noun`` is what one is called, its plural ends in s; ``title`` what all that emolab makes are called, ``making``
    and ``made`` the verbs for that ("Drawing", "drew"). The head of the modality's own network is solved; ``stand_in``
    takes its place where that learned from the data set itself, and is empty where the modality learns by itself.
    ``alike``: what emolab makes is enough like what the own network learned from; else ``stand_in`` is used for it too.
    ``settings`` are lines of ``emolab.toml`` by section, beside those of the policies. ``plays``: the page has a
    player for each.
    """

    modality: str
    noun: str
    title: str
    making: str
    made: str
    make: SampleMaker
    classes: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    stand_in: str = "hog"
    alike: bool = True
    plays: bool = False

    @property
    def nouns(self) -> str:
        """Several of them."""
        return f"{self.noun}s"

    @property
    def in_fiftyone(self) -> bool:
        """Whether FiftyOne shows them."""
        return open_modality(self.modality).in_fiftyone

    def picture(self, data: bytes) -> bytes:
        """What stands for ``data`` on the page: itself where it is an image."""
        found = open_modality(self.modality).file_type(data)
        if found is not None and found[1].startswith("image/"):
            return data
        return open_modality(self.modality).thumbnail(data, max_pixels=MAX_PIXELS)

    def backbone_for(self, title: str) -> str:
        """The network whose head is solved on the data set ``title``; none that has seen it would be fair."""
        own = open_modality(self.modality).network
        if own is None or bundled.folder(own.name) is None:
            return self.stand_in
        unfit = title in own.readers or (title == self.title and not self.alike)
        return self.stand_in if unfit else own.name


def file_of(name: str) -> str:
    """The file that a sample came from, by the ``name`` it was collected under.

    >>> file_of("files/writer0001/sentence00001.txt#1")
    'sentence00001.txt'
    """
    return Path(name).name.partition("#")[0]


def open_kind(modality: str) -> DemoKind:
    """The kind for a modality. Raises :class:`UnknownName`."""
    if modality not in KINDS:
        raise UnknownName("modality of the demo", modality, tuple(KINDS))
    module, _, name = KINDS[modality].partition(":")
    found: DemoKind = getattr(import_module(module), name)
    return found
