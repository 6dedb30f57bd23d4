"""What goes into collecting and what comes out: items, options, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.modalities.problems import Problem
from emolab.ranges import WORDS
from emolab.records import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


FACES = WORDS["collect.faces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One input: the bytes of an image file, its path, something to call for them, or pixels (a video frame).

    ``name`` is what reports show and the catalog keeps. ``stamp`` changes when the input changes and lets a second run
    skip it unread; a path needs none. ``only`` is the one face, counted from 1 with the largest first, that is cut out
    where faces are [all]. ``carry`` is whatever the caller wants to find again in the outcome.
    """

    data: bytes | Path | Callable[[], bytes] | Image.Image
    name: str
    source: str = "collected"
    group: str | None = None
    consent: str | None = None
    licence: str | None = None
    split: str | None = None
    stamp: str | None = None
    only: int | None = None
    carry: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """How items become samples.

    ``faces``: ``off`` keeps images as they are; ``all`` and ``largest`` cut out what the detector finds; ``auto`` is
    ``all`` for images whose shorter side is above ``tight`` pixels and ``off`` for smaller ones, which are taken as
    face crops already. An image without a face is kept whole with quality ``faces`` 0. ``detector`` is the path of
    the weights, "" the bundled ones.
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

    def ledger_key(self) -> str:
        """What names these options in the ledger of inputs; ledgers of earlier releases go by the same words."""
        return repr(self).replace(type(self).__name__, "Options", 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: the ids of its samples, the samples where they were made now, and what went wrong.

    ``item`` has lost its bytes or pixels by now. ``ids`` without ``samples`` means that the ledger knew the item:
    nothing was read. ``looks`` (see :mod:`emolab.datasets.near_copies.thumbnails`) are those of ``samples``.
    """

    item: Item
    ids: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    problems: tuple[Problem, ...] = ()
    looks: tuple[NDArray[np.uint8], ...] = ()
