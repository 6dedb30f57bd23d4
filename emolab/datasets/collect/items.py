"""What goes into collecting and what comes out: items, options, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.modalities.problems import Problem
from emolab.records import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from emolab.modalities.intake import Excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One input: the bytes of a file, its path, something to call for them, a video frame, a part of a recording.

    ``name`` is what reports show and the catalog keeps. ``stamp`` changes when the input changes and lets a second run
    skip it unread; a path needs none. ``recording`` is the group of its samples where it becomes several
    and has no other. ``only`` is the one piece, counted from 1, that is kept of it:
    of faces the largest comes first. ``carry`` is whatever the caller wants to find again in the outcome.
    """

    data: bytes | Path | Callable[[], bytes] | Image.Image | Excerpt
    name: str
    source: str = "collected"
    group: str | None = None
    recording: str | None = None
    consent: str | None = None
    licence: str | None = None
    split: str | None = None
    stamp: str | None = None
    only: int | None = None
    carry: object = None


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
