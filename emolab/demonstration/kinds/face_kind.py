"""Faces: drawn ones, or images of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emolab.demonstration.drawn_faces import draw_faces
from emolab.demonstration.kinds.demo_kind import DemoKind, MadeSample
from emolab.taxonomy import PRESETS

if TYPE_CHECKING:
    from numpy.random import Generator


def make(n: int, rng: Generator, *, jobs: int) -> Iterator[MadeSample]:
    """Drawn faces."""
    for face in draw_faces(n, rng, jobs=jobs):
        yield MadeSample(data=face.png, name=face.name, person=face.person, answers=face.answers)


FACES = DemoKind(
    modality="image",
    noun="face",
    title="drawn faces",
    making="Drawing",
    made="drew",
    make=make,
    classes=PRESETS["ferplus8"],
    settings={"collect": 'faces = "off"'},
)
