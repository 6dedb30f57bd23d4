"""Given stretches of a recording, cut out in one pass, whatever its length and however they overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.audio.flac import sixteen_bits
from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.reading.sound import opened
from emolab.modalities.intake import Excerpt
from emolab.modalities.problems import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Seconds by which a stretch may begin before the sound or end after it: tables are rounded.
ROUNDED = 0.05


def excerpts(
    media: Path, wanted: Sequence[tuple[float, float]], notes: list[str]
) -> Iterator[tuple[int, Excerpt | Problem]]:
    """Each of ``wanted`` (begin, end in seconds on the clock of ``media``) by its place there, in order of its end.

    What lies beyond the sound is a problem, whose path is empty. ``notes`` gets what had to be assumed. Raises
    :class:`emolab.modalities.problems.Refused` for what is no sound or ends before its time; what was cut out before
    that has been given.
    """
    with opened(media) as sound:
        start = sound.source.offset
        marks = [(round((begin - start) * RATE), round((end - start) * RATE)) for begin, end in wanted]
        waiting = sorted(range(len(marks)), key=lambda row: (marks[row][0], marks[row][1]), reverse=True)
        active: list[int] = []
        held, first, peak = np.zeros(0, np.int16), 0, 0.0
        for block in sound:
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            held = np.concatenate([held, sixteen_bits(block if peak <= 1 else block / np.float32(peak))])
            end = first + len(held)
            while waiting and marks[waiting[-1]][0] < end:
                active.append(waiting.pop())
            for row in sorted((row for row in active if marks[row][1] <= end), key=lambda row: marks[row][1]):
                yield row, _cut(held, first, marks[row], start)
            active = [row for row in active if marks[row][1] > end]
            keep = min((marks[row][0] for row in active), default=end)
            held, first = held[max(0, keep - first) :], max(first, keep)
        notes.extend(sound.notes)
        if peak > 1:
            notes.append(f"its values go up to {peak:,.1f} times full scale; made quieter from there on")
        last = first + len(held)
        for row in sorted((*active, *waiting)):
            begin, end = marks[row]
            if end <= last + ROUNDED * RATE and begin < last:
                yield row, _cut(held, first, (begin, last), start)
            else:
                yield row, Problem("", "bad row", f"beyond the end: the recording ends at {start + last / RATE:,.2f} s")


def _cut(held: NDArray[np.int16], first: int, mark: tuple[int, int], start: float) -> Excerpt | Problem:
    """The samples from and up to ``mark`` out of ``held``, which begins at sample ``first``."""
    begin, end = mark
    if begin < -ROUNDED * RATE:
        return Problem("", "bad row", f"before the beginning: the sound begins at {start:,.2f} s")
    begin = max(begin, 0)
    if end <= begin:
        return Problem("", "bad row", "it holds no samples")
    return Excerpt(start + begin / RATE, held[begin - first : end - first].copy())
