"""Near copies among looks: candidates from the product, confirmed on pixels, joined to groups as they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.near_copies import candidates, confirm
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Agreement (see :mod:`emolab.datasets.near_copies.confirm`) of one picture with itself after the usual changes; where
#: look-alikes abound; and from which a pair is a look-alike.
SAME, SURE, ALMOST = 0.9, 0.98, 0.86
#: Look-alikes of an image up to which all is as usual: in 27,000 faces from the web an image has 0.01.
USUAL = 0.02
#: Pairs confirmed in one go; those that this joins spare others from being looked at.
TOGETHER = 2048


class Groups:
    """Rows 0 to n - 1 in groups that grow; ``number`` (n,) is the same for rows of one group."""

    def __init__(self, n: int) -> None:
        self.number: NDArray[np.int64] = np.arange(n, dtype=np.int64)
        self._members: dict[int, list[int]] = {}

    def join(self, first: int, second: int) -> bool:
        """Make the groups of two rows one; ``False`` when they are one already."""
        a, b = int(self.number[first]), int(self.number[second])
        if a == b:
            return False
        ours, theirs = self._members.pop(a, [a]), self._members.pop(b, [b])
        if len(ours) < len(theirs):
            a, ours, theirs = b, theirs, ours
        ours.extend(theirs)
        self.number[theirs] = a
        self._members[a] = ours
        return True


def find(
    looks: NDArray[np.uint8],
    *,
    fresh: int = 0,
    links: NDArray[np.int64] | None = None,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The group of each of ``looks`` (n, side, side): (n,), and the pairs (m, 2) found now that make them up.

    Rows below ``fresh`` have been compared with one another; ``links`` (k, 2) are what that gave.
    """
    n = len(looks)
    groups = Groups(n)
    for a, b in [] if links is None else links.tolist():
        groups.join(a, b)
    made: list[tuple[int, int]] = []
    if fresh < n:
        close: list[tuple[float, int, int]] = []
        starts = np.stack(candidates.STARTS)
        space = candidates.learn(looks)
        with progress.task("Comparing images", n, unit="images") as task:
            for found in candidates.candidates(looks, space, fresh=fresh):
                for agreement, first, second in _agreeing(looks, found, groups, starts):
                    if agreement < SURE:
                        close.append((agreement, first, second))
                    elif groups.join(first, second):
                        made.append((first, second))
                task.advance(found.rows)
        enough = limit(sum(agreement < SAME for agreement, _, _ in close), n, n - fresh)
        made.extend(
            (a, b) for agreement, a, b in sorted(close, reverse=True) if agreement >= enough and groups.join(a, b)
        )
    return groups.number, np.array(made, dtype=np.int64).reshape(-1, 2)


def limit(lookalikes: int, n: int, fresh: int) -> float:
    """The agreement from which a pair is one picture, :data:`SAME` to :data:`SURE`.

    Where many pairs nearly agree, as in drawings, or portraits before one wall, some strangers agree even better: with
    every doubling of the ``lookalikes`` found (pairs from :data:`ALMOST` to :data:`SAME`) per image, among ``fresh`` of
    ``n`` images compared with all, the limit rises. Half a look-alike is added, so that few images, which say little,
    need a better agreement (the mean of a Poisson rate under the prior of Jeffreys 1946).
    """
    each = (lookalikes + 0.5) * n / (fresh * (n - fresh / 2))
    return float(np.clip(SAME + 0.015 * np.log2(max(each, USUAL) / USUAL), SAME, SURE))


def _agreeing(
    looks: NDArray[np.uint8], found: candidates.Candidates, groups: Groups, starts: NDArray[np.float32]
) -> Iterator[tuple[float, int, int]]:
    """The pairs of ``found`` that at least almost agree and are not in one group by now."""
    for begin in range(0, len(found.first), TOGETHER):
        part = slice(begin, begin + TOGETHER)
        apart = groups.number[found.first[part]] != groups.number[found.second[part]]
        first, second = found.first[part][apart], found.second[part][apart]
        start = starts[found.start[part][apart]]
        agreement = confirm.agreement(looks, first, second, found.mirrored[part][apart], start)
        close = np.flatnonzero(agreement >= ALMOST)
        yield from zip(agreement[close].tolist(), first[close].tolist(), second[close].tolist(), strict=True)
