"""What both decoders give: a file as blocks of samples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Seconds decoded in one go.
BLOCK_SECONDS = 10


class SoundStream(Protocol):
    """An open file. ``frames`` is how many samples a channel it announces, ``None`` where it does not say.

    Seconds after whatever comes first in it, its sound begins at ``offset`` and its picture at ``picture``.
    """

    rate: int
    channels: int
    frames: int | None
    format: str
    offset: float
    picture: float
    notes: list[str]

    @abstractmethod
    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The sound in blocks (n, channels) of float32; raises :class:`Refused` where it cannot go on."""
