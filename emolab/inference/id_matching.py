"""Where the ids of some samples stand among others, by whole arrays: a million ids take a tenth of a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Letters of a sample's id, which is a SHA-256 in hex.
_WIDTH = 64
#: Bits that a number's start has, and those behind it.
_START, _REST = 22, np.uint64(64 - 22)
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64)


class IdMatcher:
    """The ids that are looked for, ready to be found among others, part by part.

    Ids of 64 letters are compared as numbers made of them, and those that agree letter by letter. Where an id has
    another length, or two give the same number, all goes by a dictionary instead; the answer is the same.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self._letters = _letters("\n".join(ids).encode())
        self._places: dict[str, list[int]] | None = None
        if self._letters is None:
            self._remember()
            return
        numbers = _numbers(self._letters)
        self._order = np.argsort(numbers, kind="stable")
        self._sorted = numbers[self._order]
        self._starts = np.zeros(1 << _START, dtype=bool)  # most other ids are told by how their number starts
        self._starts[numbers >> _REST] = True
        if (self._sorted[1:] == self._sorted[:-1]).any():
            self._remember()

    def find(self, lines: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of the ids in ``lines``, one a line, which rows (m,) are looked for, and the place (m,) of each among those.

        An id that is looked for at two places is told twice.
        """
        letters = _letters(lines)
        if self._places is None and self._letters is not None and letters is not None:
            return self._found(self._letters, letters)
        if self._places is None:
            self._remember()
        known = self._places or {}
        others = lines.decode().split("\n")
        pairs = [(row, place) for row, each in enumerate(others) for place in known.get(each, ())]
        both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _found(
        self, wanted: NDArray[np.bytes_], letters: NDArray[np.bytes_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        numbers = _numbers(letters)
        rows = np.flatnonzero(self._starts[numbers >> _REST])
        at = np.minimum(np.searchsorted(self._sorted, numbers[rows]), len(self._sorted) - 1)
        places = self._order[at]
        same = letters[rows] == wanted[places]
        return rows[same], places[same]

    def _remember(self) -> None:
        self._places = {}
        for place, each in enumerate(self._ids):
            self._places.setdefault(each, []).append(place)


def _letters(lines: bytes) -> NDArray[np.bytes_] | None:
    """The ids in ``lines`` as (n,) of 64 bytes; ``None`` where one of them has another length."""
    n, rest = divmod(len(lines) + 1, _WIDTH + 1)
    if rest or lines.count(b"\n") != n - 1 or b"\0" in lines:
        return None
    rows: NDArray[Any] = np.frombuffer(lines + b"\n", dtype=[("id", f"S{_WIDTH}"), ("end", "S1")])
    return None if (rows["end"] != b"\n").any() else np.ascontiguousarray(rows["id"])


def _numbers(letters: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """A number (n,) for each id, made of its first and its last 16 letters."""
    words = letters.view(np.uint64).reshape(len(letters), -1)
    found: NDArray[np.uint64] = words[:, 0] * _FACTORS[0]
    for word, factor in zip((1, 6, 7), _FACTORS[1:], strict=True):
        found = found ^ (words[:, word] * factor)
    return found
