"""How often each class is answered: the mean of the answers and of the probabilities behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import MeanTest, Test
from emolab.monitoring.reference import Floats, Observations

#: Answers of the reference with a class, and without it, from which it counts by itself; a rarer one counts by its
#: probability alone.
FEWEST_OF_CLASS = 30


def detect(reference: Observations) -> Test | None:
    """A test of the class mix: Hotelling's T2 of answers and probabilities."""
    shares = _shares(reference)
    common = (np.minimum(shares, 1 - shares) * len(reference)).round() >= FEWEST_OF_CLASS
    fitted = mean_shift.fit(_features(reference, common), learned=True)

    def words(window: Observations) -> tuple[str, ...]:
        return _moves(window, shares, _shares(window), "") or _moves(
            window, reference.probs.mean(axis=0), window.probs.mean(axis=0), "mean probability of "
        )

    return MeanTest(features=lambda seen: _features(seen, common), fitted=fitted, words=words)


def _moves(seen: Observations, before: Floats, now: Floats, what: str) -> tuple[str, ...]:
    """The classes whose figure moved most, with both."""
    moves = np.asarray(now, dtype=np.float64) - before
    order = np.argsort(-np.abs(moves), kind="stable")[:3]
    return tuple(f"{what}{seen.classes[i]} {before[i]:.1%} -> {now[i]:.1%}" for i in order if moves[i])


def _shares(seen: Observations) -> NDArray[np.float64]:
    return np.asarray(seen.answers().sum(axis=0) / max(1, len(seen)), dtype=np.float64)


def _features(seen: Observations, common: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.concatenate([seen.answers()[:, common], seen.probs], axis=1, dtype=np.float64)
