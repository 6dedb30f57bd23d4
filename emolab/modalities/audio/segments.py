"""A recording becomes clips: silence at both ends trimmed, long recordings cut where nobody speaks.

1. A frame of 30 ms is silence when the detector hears no voice in it and it is 35 dB quieter than the loudest one; so
   a sigh or laughter stays. 0.12 s of silence is left at both ends.
2. What is longer than a clip may be is cut into stretches of voice. Pauses of up to a second stay within a clip while
   it is short enough; what is said without a pause is cut at its quietest place in the second half of a clip.
3. A recording of any length passes through a window of two minutes, which ends in the longest pause of its second half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.audio.flac import sixteen_bits
from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.voice import FRAME, levels, runs, smoothed, voiced

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Frames of silence left at both ends of a clip: 0.12 s.
MARGIN = 4
#: Decibels below the loudest frame from which a frame without voice is silence.
QUIET = 35.0
#: A recording never louder than this (dBFS, over 30 ms) holds nothing: the last bit of a 16-bit file is at -90.
LEAST = -75.0
#: Seconds of a recording that are looked at together.
WINDOW = 120
#: Frames: pauses closed within a word, bursts that are no word, pauses that stay within a clip, the shortest clip.
_GAP, _BURST, _PAUSE, _SHORTEST = 10, 3, 33, 17


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording that becomes a clip: ``samples`` (n,) at 16 kHz, from second ``begin`` on.

    For each of its frames of 30 ms: whether voice was ``heard`` there, and its ``loudness`` in dBFS.
    """

    begin: float
    samples: NDArray[np.int16]
    heard: NDArray[np.bool_]
    loudness: NDArray[np.float32]


def packed_clips(heard: NDArray[np.bool_], loudness: NDArray[np.float32], most: int) -> list[tuple[int, int]]:
    """Frames (first, last) of clips of at most ``most`` frames, of which those with voice are ``heard``."""
    joined: list[tuple[int, int]] = []
    for begin, end in runs(heard):
        if joined and begin - joined[-1][1] <= _PAUSE and end - joined[-1][0] <= most:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    out: list[tuple[int, int]] = []
    for begin, end in joined:
        at = begin
        while end - at > most:
            half = at + most // 2
            cut = half + int(np.argmin(loudness[half : at + most])) + 1
            out.append((at, cut))
            at = cut
        out.append((at, end))
    return out


@dataclass(slots=True)
class Segmenter:
    """Cuts recordings into clips of at most ``longest`` seconds; where that is infinity, nothing is cut.

    ``pack`` makes clips of the frames with voice (see :func:`packed_clips`); those of less than ``shortest_frames``
    are left out. Noted over one recording: its ``peak`` amplitude, whether voice was ``heard``, the ``clips`` made and
    the ``shortest`` of them in seconds, ``left_out`` stretches of voice under 0.5 s; ``split``: it was too long.
    ``activity`` is who says where voice is: see :func:`emolab.modalities.audio.voice.voiced`.
    """

    longest: float
    pack: Callable[[NDArray[np.bool_], NDArray[np.float32], int], list[tuple[int, int]]] = packed_clips
    shortest_frames: int = _SHORTEST
    peak: float = 0.0
    heard: bool = False
    clips: int = 0
    shortest: float = np.inf
    left_out: int = 0
    split: bool = False
    activity: str = "webrtc"

    def __call__(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Segment]:
        """The clips of a recording that comes in ``blocks`` (n,) of float32 at 16 kHz."""
        held: list[NDArray[np.int16]] = []
        start = length = 0
        for block in blocks:
            whole = self._whole(block)
            held.append(whole)
            length += len(whole)
            while length > WINDOW * RATE and np.isfinite(self.longest):
                self.split = True
                window = np.concatenate(held)
                cut = _pause(window, self.activity)
                yield from self._cut(window[:cut], start)
                held, start, length = [window[cut:]], start + cut, length - cut
        if length:
            yield from self._cut(np.concatenate(held), start)

    def _whole(self, block: NDArray[np.float32]) -> NDArray[np.int16]:
        """``block`` in 16 bits, made quieter as long as the recording goes beyond full scale."""
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        return sixteen_bits(block if self.peak <= 1 else block / np.float32(self.peak))

    def _cut(self, samples: NDArray[np.int16], start: int) -> Iterator[Segment]:
        loudness = levels(samples)
        if loudness.max(initial=-np.inf) < LEAST:
            return
        heard = voiced(samples, self.activity)
        self.heard |= bool(heard.any())
        active = np.flatnonzero(heard | (loudness > loudness.max() - QUIET))
        begin, end = _around(int(active[0]), int(active[-1]) + 1, len(heard))
        if not self.split and (end - begin) * FRAME <= self.longest * RATE:
            yield self._segment(samples, start, (begin, end), heard, loudness)
            return
        self.split = True
        most = int(self.longest * RATE) // FRAME - 2 * MARGIN
        stretches = self.pack(smoothed(heard, gap=_GAP, burst=_BURST), loudness, most)
        for index, (first, last) in enumerate(stretches):
            if last - first < self.shortest_frames:
                self.left_out += 1
                continue
            begin, end = _around(first, last, len(heard))
            if index:
                begin = max(begin, (stretches[index - 1][1] + first) // 2)
            if index + 1 < len(stretches):
                end = min(end, (last + stretches[index + 1][0]) // 2)
            yield self._segment(samples, start, (begin, end), heard, loudness)

    def _segment(
        self,
        samples: NDArray[np.int16],
        start: int,
        frames: tuple[int, int],
        heard: NDArray[np.bool_],
        loudness: NDArray[np.float32],
    ) -> Segment:
        """The ``frames`` (begin, end) of ``samples``, which begin at sample ``start`` of the recording."""
        begin, end = frames
        part = samples[begin * FRAME : end * FRAME]
        self.clips += 1
        self.shortest = min(self.shortest, len(part) / RATE)
        return Segment((start + begin * FRAME) / RATE, part, heard[begin:end], loudness[begin:end])


def _around(first: int, last: int, n: int) -> tuple[int, int]:
    """The frames ``first`` to ``last`` with the margin, within ``n``."""
    return max(0, first - MARGIN), min(n, last + MARGIN)


def _pause(window: NDArray[np.int16], activity: str) -> int:
    """Where to end ``window``: in the middle of the longest pause of its second half, or at its quietest frame."""
    half = len(window) // 2
    later = window[half - half % FRAME :]
    pauses = runs(~voiced(later, activity))
    if pauses:
        begin, end = max(pauses, key=lambda pause: pause[1] - pause[0])
        middle = (begin + end) // 2
    else:
        middle = int(np.argmin(levels(later)))
    return min(len(window), half - half % FRAME + max(1, middle) * FRAME)
