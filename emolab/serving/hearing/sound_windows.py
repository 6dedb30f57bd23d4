"""A stream of sound as windows that slide over it, each with how much voice there is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.audio.flac import sixteen_bits
from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.spectrogram import QUARTER
from emolab.modalities.audio.voice import FRAME, VoiceFrames, smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Seconds that a network sees at once.
SEEN = 4 * QUARTER / RATE
#: Frames of 30 ms: pauses closed within a word, bursts that are no word (as where recordings are cut into clips).
_GAP, _BURST = 10, 3
#: Seconds at the end of a recording that deserve a window of their own.
_TAIL = 0.1


@dataclass(frozen=True, kw_only=True)
class WindowRules:
    """``window`` seconds are judged every ``hop`` seconds, where there are ``least`` seconds of voice in them."""

    window: float = SEEN
    hop: float = 1.0
    least: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundWindow:
    """``samples`` (n,) float32 at 16 kHz from second ``begin`` to ``end`` of the stream, ``voice`` seconds of voice."""

    begin: float
    end: float
    samples: NDArray[np.float32]
    voice: float


class SoundWindows:
    """Cuts one stream; holds no more of it than a window and the block that comes in."""

    def __init__(self, rules: WindowRules) -> None:
        self.rules = rules
        self._held: NDArray[np.float32] = np.zeros(0, np.float32)
        self._first = 0  # the number of the first sample that is held
        self._frames: list[bool] = []
        self._first_frame = 0
        self._detector = VoiceFrames()
        self._length = round(rules.window * RATE)
        self._cut = 0  # windows so far
        self._told = 0  # the last sample that was in one

    @property
    def seconds(self) -> float:
        """How much came in so far."""
        return (self._first + len(self._held)) / RATE

    def add(self, samples: NDArray[np.float32]) -> Iterator[SoundWindow]:
        """The windows that ``samples`` (n,), mono at 16 kHz, complete; to be gone through to the end."""
        self._held = np.concatenate([self._held, samples])
        self._frames += self._detector(sixteen_bits(samples))
        while (end := self._length + round(self._cut * self.rules.hop * RATE)) <= self._first + len(self._held):
            yield self._window(end)
            self._cut += 1
        kept = min(end - self._length, self._first + len(self._held) - self._length)  # the last window may be any
        gone = max(0, kept - self._first)
        self._held, self._first = self._held[gone:], self._first + gone
        frames = min(max(0, self._first // FRAME - self._first_frame), len(self._frames))
        self._frames, self._first_frame = self._frames[frames:], self._first_frame + frames

    def rest(self) -> SoundWindow | None:
        """The window at the end of the stream, where something of it was in none yet."""
        end = self._first + len(self._held)
        if not end or (self._told and end - self._told < _TAIL * RATE):
            return None
        return self._window(end)

    def _window(self, end: int) -> SoundWindow:
        begin = max(self._first, end - self._length)
        frames = np.array(
            self._frames[begin // FRAME - self._first_frame : end // FRAME - self._first_frame], dtype=bool
        )
        self._told = end
        return SoundWindow(
            begin=begin / RATE,
            end=end / RATE,
            samples=self._held[begin - self._first : end - self._first],
            voice=round(float(smoothed(frames, gap=_GAP, burst=_BURST).sum()) * FRAME / RATE, 3),
        )
