"""Which clips are of one voice, guessed from encodings of voices: so that a person nobody named is not divided.

1. In blocks of 2,000 clips, the two sets of clips that are most alike become one, as long as the mean cosine between
   their clips is at least the limit (average linkage).
2. Each set joins the group before it that it is most like, by the same rule, or is a new group. Groups that are known
   never become one: nothing moves that was guessed before.

The mean cosine between two sets is the product of their mean encodings, so a group is kept as a sum and a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emolab.records import GUESSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

#: Clips that are compared all with all.
BLOCK = 2_000
#: Mean cosine from which two sets are one voice; ``python -m benchmarks.speakers`` chooses it on ten actors.
LIMIT = 0.5


def is_guessed(group: str | None) -> bool:
    """Whether ``group`` was guessed from voices."""
    return group is not None and group.startswith(GUESSED)


@dataclass(slots=True)
class VoiceGroups:
    """Groups of voices by name: the sum (256,) of their encodings of length 1, and how many those are."""

    limit: float = LIMIT
    names: list[str] = field(default_factory=list)
    sums: list[NDArray[np.float32]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, name: str, encodings: NDArray[np.float32]) -> None:
        """Make ``name`` a group of ``encodings`` (n, 256)."""
        self.names.append(name)
        self.sums.append(encodings.sum(axis=0))
        self.counts.append(len(encodings))

    def place(self, encodings: NDArray[np.float32]) -> list[str]:
        """The group of each of ``encodings`` (n, 256), of which those of one block are compared with one another."""
        placed: list[str] = [""] * len(encodings)
        for begin in range(0, len(encodings), BLOCK):
            block = encodings[begin : begin + BLOCK]
            for rows in _alike(block, self.limit):
                name = self._join(block[rows])
                for row in rows.tolist():
                    placed[begin + row] = name
        return placed

    def _join(self, encodings: NDArray[np.float32]) -> str:
        if self.names:
            means = np.stack(self.sums) / np.array(self.counts, np.float32)[:, None]
            likeness = means @ encodings.mean(axis=0)
            best = int(np.argmax(likeness))
            if likeness[best] >= self.limit:
                self.sums[best] = self.sums[best] + encodings.sum(axis=0)
                self.counts[best] += len(encodings)
                return self.names[best]
        self.add(self._new(), encodings)
        return self.names[-1]

    def _new(self) -> str:
        numbers = (name.removeprefix(GUESSED) for name in self.names)
        return f"{GUESSED}{1 + max((int(each) for each in numbers if each.isdecimal()), default=0):04d}"


def _alike(encodings: NDArray[np.float32], limit: float) -> Iterator[NDArray[np.int64]]:
    """The rows of each set of ``encodings``, in order of their first row."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(encodings) == 1:
        yield np.zeros(1, np.int64)
        return
    upper = np.triu_indices(len(encodings), 1)
    apart = np.maximum(0, 1 - (encodings @ encodings.T)[upper]).astype(np.float64)
    number = fcluster(linkage(apart, "average"), 1 - limit, "distance")
    _, first = np.unique(number, return_index=True)
    for row in sorted(first.tolist()):
        yield np.flatnonzero(number == number[row])


@dataclass(frozen=True, slots=True)
class GuessedSpeakers:
    """``clips`` without a known speaker that got a guess now, how many of them ``joined`` a group of an earlier run,
    ``groups`` that were guessed in all, and clips that could not be read (``unread``)."""

    clips: int
    joined: int
    groups: int
    unread: int


def summed(before: Iterable[str], placed: Iterable[str], unread: int) -> GuessedSpeakers:
    """What was guessed: the group of each clip that was ``placed``, and the groups there were ``before``."""
    known, now = set(before), list(placed)
    return GuessedSpeakers(len(now), sum(name in known for name in now), len(known | set(now)), unread)
