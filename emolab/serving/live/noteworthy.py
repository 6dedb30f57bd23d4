"""Which frames deserve a vote: those about which the model is unsure, and those in which a face changes suddenly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.serving.live.frame_answers import FrameAnswer, TrackedFace


@dataclass(frozen=True, kw_only=True)
class NoteworthyRules:
    """``unsure``: entropy of the smoothed probabilities, as a share of the most there can be, from which on.

    ``sudden``: how far the probabilities of a frame are from the average before it (half the sum of differences).
    ``every``: at least so many seconds between two frames for one face; ``smallest``: pixels of a face's shorter side.
    """

    unsure: float = 0.6
    sudden: float = 0.6
    every: float = 2.0
    smallest: int = 48


class Noteworthy:
    """Says of each frame whether, and why, it should be kept; one for each stream."""

    def __init__(self, rules: NoteworthyRules | None = None) -> None:
        self.rules = rules or NoteworthyRules()
        self._kept: dict[int, float] = {}
        self._before: dict[int, list[float]] = {}

    def __call__(self, answer: FrameAnswer) -> str | None:
        """``unsure``, ``sudden change``, or ``None``: for the first face that is noteworthy."""
        found = None
        seen = {face.track for face in answer.faces}
        for face in answer.faces:
            reason = self._reason(face)
            if face.smoothed is not None:
                self._before[face.track] = face.smoothed.tolist()
            last = self._kept.get(face.track)
            if reason is None or found is not None or (last is not None and answer.seconds - last < self.rules.every):
                continue
            self._kept[face.track] = answer.seconds
            found = reason
        self._before = {track: probs for track, probs in self._before.items() if track in seen}
        self._kept = {
            track: at
            for track, at in self._kept.items()
            if track in seen or answer.seconds - at < 10 * self.rules.every
        }
        return found

    def _reason(self, face: TrackedFace) -> str | None:
        if face.probs is None or face.smoothed is None or min(face.box[2:]) < self.rules.smallest:
            return None
        before = self._before.get(face.track)
        if before is not None:
            apart = sum(abs(a - b) for a, b in zip(face.probs.tolist(), before, strict=True)) / 2
            if apart >= self.rules.sudden:
                return "sudden change"
        return "unsure" if entropy(face.smoothed.tolist()) >= self.rules.unsure else None


def entropy(probs: list[float]) -> float:
    """How undecided ``probs`` are, in 0..1: 0 one class, 1 all alike.

    >>> entropy([1.0, 0.0]), entropy([0.5, 0.5])
    (0.0, 1.0)
    """
    return abs(sum(p * math.log(p) for p in probs if p > 0)) / math.log(len(probs))
