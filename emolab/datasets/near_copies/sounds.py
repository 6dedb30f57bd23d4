"""Near copies among clips: fingerprints with few differing bits once aligned (Haitsma and Kalker 2002).

1. Every 32 ms of a clip is a word of 16 bits. Clips that share two words at the same distance are candidates.
2. A candidate is a copy when at most 18 % of the bits differ over the part that both have, which must be 0.5 s and 60 %
   of the shorter one.

Measured by ``python -m benchmarks.sound_copies``; docs/audio.md has the table. In RAVDESS, where each actor says each
sentence twice in the same way, the nearest of 600 such pairs differ in 21 % of the bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.datasets.near_copies.pairs import Groups
from emolab.modalities.audio.fingerprint import FRAMES, fingerprint
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Share of bits that may differ; frames and share of the shorter clip that must overlap.
DIFFERING, OVERLAP, SHARE = 0.18, 16, 0.6
#: A word that more frames have than this, and many more than the mean, says little (hum, silence, a clip that is there
#: very often): it is only looked for in the next few of them.
COMMON, MUCH, NEXT = 64, 8, 4
#: Frames with the same word that are looked at in one go: 200 MB.
TOGETHER = 4_000_000


class SoundCopies:
    """Clips: re-encoded, trimmed, louder or quieter, through a telephone."""

    shape = (FRAMES, 2)

    def look(self, media: bytes | Path) -> NDArray[np.uint8] | None:
        """The fingerprint of a clip."""
        from emolab.modalities.audio.flac import sixteen_bits
        from emolab.modalities.audio.reading import load
        from emolab.modalities.problems import Refused

        try:
            return fingerprint(sixteen_bits(load(media).samples))
        except Refused:
            return None

    def empty(self, looks: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Those shorter than half a second."""
        return np.asarray((words_of(looks) > 0).sum(axis=1) < OVERLAP)

    def find(
        self, looks: NDArray[np.uint8], *, fresh: int, links: NDArray[np.int64], progress: Progress = SILENT
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The group of each of ``looks`` (n, 384, 2): (n,), and the pairs (m, 2) found now that make them up."""
        groups = Groups(len(looks))
        for a, b in links.tolist():
            groups.join(a, b)
        made: list[tuple[int, int]] = []
        if fresh < len(looks):
            words = words_of(looks)
            with progress.task("Comparing clips", 1, unit="passes") as task:
                for first, second, shift in candidates(words, fresh):
                    if groups.number[first] != groups.number[second] and _same(words, first, second, shift):
                        groups.join(first, second)
                        made.append((first, second))
                task.advance(1)
        return groups.number, np.array(made, dtype=np.int64).reshape(-1, 2)

    def rank(self, row: Mapping[str, Any]) -> tuple[float, ...]:
        """The longer, then the cleaner."""
        return -(row["duration"] or 0.0), -(row["quality"] or {}).get("snr", 0.0)


def words_of(looks: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Looks (n, 384, 2) as words (n, 384); 0 where a clip is over."""
    return np.ascontiguousarray(looks).view(np.uint16)[:, :, 0]


def candidates(words: NDArray[np.uint16], fresh: int) -> Iterator[tuple[int, int, int]]:
    """(first, second, shift) of pairs, not both below ``fresh``, that share two words at one distance, within a frame.

    Frame ``t`` of the second is frame ``t + shift`` of the first, which comes before it.
    """
    row, at = np.nonzero(words)
    order = np.argsort(words[row, at], kind="stable")
    word = words[row, at][order]
    place = np.empty(len(order), dtype=np.int64)  # where the frame stands among all, in the order of their words
    place[order] = np.arange(len(order))
    counts = np.bincount(word, minlength=1 << 16)
    before = place - (np.cumsum(counts) - counts)[words[row, at]]  # frames of earlier clips, and its own, with the word
    common = counts[words[row, at]] > max(COMMON, MUCH * len(word) / (1 << 16))
    before = np.where(common, np.minimum(before, NEXT), before)
    before[row < fresh] = 0
    ends = np.searchsorted(row, np.arange(1, len(words) + 1))
    hits = np.concatenate([[0], np.cumsum(before)])[np.concatenate([[0], ends])]
    begin = 0
    while begin < len(words):
        end = max(begin + 1, int(np.searchsorted(hits, hits[begin] + TOGETHER, side="right")) - 1)
        part = slice(int(ends[begin - 1]) if begin else 0, int(ends[end - 1]))
        yield from _hits(len(words), row, at, order, (part, place[part], before[part]))
        begin = end


def _hits(
    n: int,
    row: NDArray[np.intp],
    at: NDArray[np.intp],
    order: NDArray[np.intp],
    block: tuple[slice, NDArray[np.int64], NDArray[np.int64]],
) -> Iterator[tuple[int, int, int]]:
    """The candidates whose second clip is in ``block``: its frames, their places, and how many frames to look back."""
    part, place, before = block
    total = int(before.sum())
    steps = np.arange(total) - np.repeat(np.cumsum(before) - before, before)
    earlier = order[np.repeat(place - before, before) + steps]
    later = np.repeat(np.arange(part.start, part.stop), before)
    apart = row[earlier] != row[later]
    earlier, later = earlier[apart], later[apart]
    keys = np.sort((row[earlier] * n + row[later]) * (2 * FRAMES) + (at[earlier] - at[later] + FRAMES))
    for key in np.unique(keys[:-1][np.diff(keys) <= 1]).tolist():
        pair, shift = divmod(key, 2 * FRAMES)
        yield pair // n, pair % n, shift - FRAMES


def _same(words: NDArray[np.uint16], first: int, second: int, shift: int) -> bool:
    a, b = words[first], words[second]
    a, b = a[a > 0], b[b > 0]
    return any(_differing(a, b, shift + by) <= DIFFERING for by in (0, 1, -1))


def _differing(a: NDArray[np.uint16], b: NDArray[np.uint16], shift: int) -> float:
    """The share of bits in which ``a`` and ``b`` differ where both are, 1 where that is too little."""
    begin, end = max(0, shift), min(len(a), len(b) + shift)
    if end - begin < max(OVERLAP, SHARE * min(len(a), len(b))):
        return 1.0
    changed = a[begin:end] ^ b[begin - shift : end - shift]
    return float(np.bitwise_count(changed).mean()) / 16 if hasattr(np, "bitwise_count") else _counted(changed)


def _counted(changed: NDArray[np.uint16]) -> float:
    """The share of bits that are set, where NumPy cannot count them (before 2.0)."""
    return float(np.unpackbits(changed.view(np.uint8)).mean())
