"""How near copies are found in a workspace, by what its samples are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emolab.plugins import COPIES
from emolab.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CopyFinder(Protocol):
    """Near copies of one kind of samples: by a look of ``shape`` (rows, columns) of each."""

    shape: tuple[int, int]

    def look(self, media: bytes | Path) -> NDArray[np.uint8] | None:
        """The look of a media file, ``None`` of one that cannot be read."""
        ...

    def empty(self, looks: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which of ``looks`` (n, rows, columns) have nothing to compare: (n,)."""
        ...

    def find(
        self, looks: NDArray[np.uint8], *, fresh: int, links: NDArray[np.int64], progress: Progress
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """As :func:`emolab.datasets.near_copies.pairs.find`."""
        ...

    def rank(self, row: Mapping[str, Any]) -> tuple[float, ...]:
        """Lower for the sample, a row of the catalog, that better stands for its copies."""
        ...


def open_finder(modality: str) -> CopyFinder | None:
    """What finds copies among samples of ``modality``; ``None`` where nothing does."""
    if modality not in COPIES.names():
        return None
    made: CopyFinder = COPIES.load(modality)()
    return made
