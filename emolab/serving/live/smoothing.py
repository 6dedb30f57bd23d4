"""Probabilities of one face over time, without flicker: an exponential moving average by seconds, not by frames."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Smoother:
    """Averages of probabilities (k,), one for each track.

    ``seconds`` is the time constant: after so long, 63 % of a change is shown, at 5 frames a second as at 60; with 0
    nothing is averaged. The average of probabilities is one of probabilities: they stay in 0..1 and sum to 1.
    """

    def __init__(self, seconds: float) -> None:
        self._constant = seconds
        self._kept: dict[int, tuple[float, NDArray[np.float64]]] = {}

    def update(self, track: int, seconds: float, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The average of ``track`` after ``probs``, which it had at ``seconds``; its first ones count in full.

        What comes late, for a time that has passed already, changes nothing.
        """
        new = probs.astype(np.float64)
        before = self._kept.get(track)
        if before is not None:
            passed = seconds - before[0]
            if passed < 0:
                return before[1].astype(np.float32)
            keep = math.exp(-passed / self._constant) if self._constant > 0 else 0.0
            new = new + keep * (before[1] - new)
        self._kept[track] = (seconds, new)
        return new.astype(np.float32)

    def now(self, track: int) -> NDArray[np.float32] | None:
        """The average of ``track``; ``None`` before its first probabilities."""
        found = self._kept.get(track)
        return None if found is None else found[1].astype(np.float32)

    def keep(self, tracks: Iterable[int]) -> None:
        """Forget all others: memory does not grow with the people who passed by."""
        wanted = set(tracks)
        for gone in self._kept.keys() - wanted:
            del self._kept[gone]

    def __len__(self) -> int:
        return len(self._kept)
