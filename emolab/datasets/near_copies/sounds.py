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
#: A word that more frames have than this says nothing: hum, or digital silence.
COMMON = 64


class SoundCopies:
    """Clips: re-encoded, trimmed, louder or quieter, through a telephone."""

    shape = (FRAMES, 2)

    def look(self, media: Path) -> NDArray[np.uint8] | None:
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

    Frame ``t`` of the second is frame ``t + shift`` of the first.
    """
    row, at = np.nonzero(words)
    word = words[row, at]
    order = np.argsort(word, kind="stable")
    row, at, word = row[order], at[order], word[order]
    counts = np.bincount(word, minlength=1 << 16)[word]
    row, at, word = row[counts <= COMMON], at[counts <= COMMON], word[counts <= COMMON]
    hits = []
    for step in range(1, COMMON):
        same = np.flatnonzero(word[step:] == word[:-step])
        if not len(same):
            break
        a, b = same, same + step  # in order of rows: the sort is stable
        apart = (row[a] != row[b]) & (row[b] >= fresh)
        a, b = a[apart], b[apart]
        hits.append((row[a] * len(words) + row[b]) * (2 * FRAMES) + (at[a] - at[b] + FRAMES))
    keys = np.sort(np.concatenate(hits)) if hits else np.zeros(0, dtype=np.int64)
    near = keys[:-1][np.diff(keys) <= 1]
    for key in np.unique(near).tolist():
        pair, shift = divmod(key, 2 * FRAMES)
        yield pair // len(words), pair % len(words), shift - FRAMES


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
