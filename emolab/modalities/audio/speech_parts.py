"""A recording in parts of up to half a minute in which somebody speaks, for whoever writes down what is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.modalities.audio.reading.sound import opened
from emolab.modalities.audio.segments import Segmenter
from emolab.modalities.audio.voice import FRAME, levels, runs, voiced
from emolab.modalities.intake import Excerpt
from emolab.modalities.problems import Problem, Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Seconds of a part: whisper hears 30 s at a time.
LONGEST = 28.0
#: Frames of 30 ms: a pause that ends a part (3 s), the shortest part (0.15 s; a "yes" has more).
_PAUSE, _SHORTEST = 100, 5


def speech_parts(media: bytes | Path, name: str, notes: list[Problem]) -> Iterator[Excerpt]:
    """The parts of the sound ``media`` in which voice is heard, in order; ``notes`` gets what had to be assumed.

    Raises :class:`Refused` for what is no sound, ends before its time, or holds no voice; parts before that have been
    given.
    """
    cut = Segmenter(LONGEST, pack=packed, shortest_frames=_SHORTEST)
    parts = 0
    with opened(media) as sound:
        for segment in cut(sound):
            if segment.heard.any():
                parts += 1
                yield Excerpt(sound.source.offset + segment.begin, segment.samples)
        if not parts:
            raise Refused("nothing in it", f"no voice was found in {sound.seconds:,.1f} s")
        for note in sound.notes:
            notes.append(Problem(name, "sound track" if "track" in note else "channels", note, taken=True))


def packed(heard: NDArray[np.bool_], loudness: NDArray[np.float32], most: int) -> list[tuple[int, int]]:
    """Frames (first, last) of parts of at most ``most`` frames: as long as may be, cut in the longest pauses.

    A pause of three seconds always ends a part. What does not fit ends in the longest pause of the part's second half;
    what is said without one is cut at its quietest place there.
    """
    out: list[tuple[int, int]] = []
    part: list[tuple[int, int]] = []
    for stretch in _short(runs(heard), loudness, most):
        if part and stretch[0] - part[-1][1] >= _PAUSE:
            out.append((part[0][0], part[-1][1]))
            part = []
        while part and stretch[1] - part[0][0] > most:
            at = _longest_pause(part, stretch)
            out.append((part[0][0], part[at - 1][1]))
            part = part[at:]
        part.append(stretch)
    if part:
        out.append((part[0][0], part[-1][1]))
    return out


def _longest_pause(part: Sequence[tuple[int, int]], following: tuple[int, int]) -> int:
    """Before which stretch of ``part`` and the ``following`` one the longest pause of its second half is."""
    all_of_it = [*part, following]
    half = (part[0][0] + part[-1][1]) / 2
    late = [i for i in range(1, len(all_of_it)) if all_of_it[i - 1][1] >= half] or [len(part)]
    return max(late, key=lambda i: (all_of_it[i][0] - all_of_it[i - 1][1], i))


def _short(stretches: Sequence[tuple[int, int]], loudness: NDArray[np.float32], most: int) -> Iterator[tuple[int, int]]:
    """``stretches`` of voice, those longer than ``most`` frames cut at the quietest place of their second half."""
    for begin, end in stretches:
        at = begin
        while end - at > most:
            half = at + most // 2
            cut = half + int(loudness[half : at + most].argmin()) + 1
            yield at, cut
            at = cut
        yield at, end


def middle_pause(samples: NDArray[np.int16]) -> int:
    """At which sample ``samples`` are best cut in two: within the longest pause of their middle half, if there is one.

    Where nobody pauses, at the quietest place there.
    """
    first = len(samples) // FRAME // 4
    middle = samples[first * FRAME : 3 * first * FRAME]
    pauses = runs(~voiced(middle))
    if pauses:
        begin, end = max(pauses, key=lambda pause: pause[1] - pause[0])
        return (first + (begin + end) // 2) * FRAME
    return (first + int(levels(middle).argmin())) * FRAME


def count_parts(path: Path) -> int:
    """About how many parts there will be; 1 where the file does not say."""
    try:
        with opened(path) as sound:
            seconds = (sound.source.frames or 0) / sound.source.rate
    except Refused:  # whoever reads it will say what is wrong
        return 1
    return max(1, round(seconds / LONGEST))
