"""Near copies among images: 32 x 32 grey pixels that agree once aligned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.datasets.near_copies import pairs, thumbnails
from emolab.modalities.image.look import SIDE
from emolab.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PictureCopies:
    """Images: re-encoded, resized, brightened, mirrored, turned or cropped a little."""

    shape = (SIDE, SIDE)

    def look(self, media: bytes | Path) -> NDArray[np.uint8] | None:
        """The image in 32 x 32 grey pixels."""
        return thumbnails.of_media(media)

    def empty(self, looks: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Those of one colour."""
        return thumbnails.flat(looks)

    def find(
        self, looks: NDArray[np.uint8], *, fresh: int, links: NDArray[np.int64], progress: Progress
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """See :mod:`emolab.datasets.near_copies.pairs`."""
        return pairs.find(looks, fresh=fresh, links=links, progress=progress)

    def rank(self, row: Mapping[str, Any]) -> tuple[float, ...]:
        """The larger, then the sharper."""
        return -(row["width"] or 0) * (row["height"] or 0), (row["quality"] or {}).get("blur", 1.0)
