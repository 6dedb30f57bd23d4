"""How accurate a model is on samples nobody has labelled: confidence-based performance estimation.

1. On judged samples a logistic model learns how often an answer is right, from its confidence, its margin and the
   principal components of the embeddings: a calibration that knows which kind of sample it is about.
2. The estimate for a window is the mean of that over its samples (CBPE, as NannyML calls it).
3. The judged samples are weighted by how much likelier they are in the window (importance weights, Shimodaira 2000,
   from a second logistic model), and the weighted mean of what the first model missed is added: doubly robust
   (Dudik, Langford and Li 2011), so that either model may be wrong.

All this assumes that the same kind of sample is as often right as before. An audit tests that
(:mod:`emolab.monitoring.audit`): no unlabelled sample can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from emolab.errors import DataError
from emolab.monitoring.reference import FEWEST, Floats, Observations
from emolab.stats.proportions import Z95, Interval

#: Components of the embeddings that the models see; fewer where there are fewer than so many samples for each.
COMPONENTS, SAMPLES_EACH = 24, 25
#: No judged sample counts for more than so many.
MOST_WEIGHT = 20.0
#: Penalties of the two logistic models, on standardised features, per sample.
CALIBRATION_PENALTY, WEIGHT_PENALTY = 0.01, 0.01


@dataclass(frozen=True, kw_only=True)
class AccuracyEstimate:
    """``accuracy`` of ``n`` unlabelled samples, with its standard error; ``judged`` is how many judged samples it
    rests on after weighting. Few of them mean that the window is unlike anything that was judged.
    """

    n: int
    accuracy: float
    error: float
    judged: float

    @property
    def interval(self) -> Interval:
        """Of 95 %, where the assumption holds."""
        half = Z95 * self.error
        return Interval(max(0.0, self.accuracy - half), min(1.0, self.accuracy + half))


class AccuracyEstimator:
    """Learns from judged samples how often answers are right.

    ``judged`` with ``truth``, which the model has not learned from: class numbers (n,), or which classes apply (n, k),
    as in :func:`hits`. Raises :class:`DataError` for fewer than 100.
    """

    def __init__(self, judged: Observations, truth: NDArray[np.integer[Any]]) -> None:
        if len(judged) != len(truth):
            raise DataError(f"{len(judged):,} judged samples and {len(truth):,} true classes.")
        if len(judged) < FEWEST:
            raise DataError(
                f"{len(judged):,} judged samples are too few to estimate accuracy from; {FEWEST} are needed.",
                hint="Label more samples that the model has not learned from.",
            )
        self._right = hits(judged, truth).astype(np.float64)
        most = min(COMPONENTS, judged.embeddings.shape[1], len(judged) // SAMPLES_EACH)
        self._middle = np.asarray(judged.embeddings, dtype=np.float64).mean(axis=0)
        _, _, axes = np.linalg.svd(judged.embeddings - self._middle, full_matrices=False)
        self._axes = axes[:most].T
        raw = self._raw(judged)
        self._shift, self._scale = raw.mean(axis=0), raw.std(axis=0)
        self._scale[self._scale == 0] = 1.0
        self._features = self._standard(raw)
        self._weights = logistic(self._features, self._right, np.ones(len(truth)), CALIBRATION_PENALTY)

    def right(self, window: Observations) -> NDArray[np.float64]:
        """The chance (m,) that each answer is right."""
        return _chances(self._standard(self._raw(window)), self._weights)

    def estimate(self, window: Observations) -> AccuracyEstimate:
        """The accuracy of a window. Raises :class:`DataError` where nothing was seen in it."""
        m, n = len(window), len(self._right)
        if not m:
            raise DataError("There is nothing in the window to estimate the accuracy of.")
        features = self._standard(self._raw(window))
        weights = density_ratio(self._features, features)
        chance = _chances(features, self._weights)
        missed = self._right - _chances(self._features, self._weights)
        share = weights / weights.sum()
        correction = float(share @ missed)
        some = 1 / (n + 2)  # judged samples without a mistake, or all wrong, are no proof that it stays so
        missing = float(max(share**2 @ (missed - correction) ** 2, some * (1 - some) * (share**2).sum()))
        accuracy = float(np.clip(chance.mean() + correction, 0, 1))
        return AccuracyEstimate(
            n=m,
            accuracy=accuracy,
            error=float(np.sqrt(missing + accuracy * (1 - accuracy) / m)),
            judged=min(float(n), float(1 / (share**2).sum())),
        )

    def _raw(self, seen: Observations) -> NDArray[np.float64]:
        probs = np.clip(np.asarray(seen.probs, dtype=np.float64), 1e-6, 1)
        ordered = np.sort(probs, axis=1)
        sure = np.log(ordered[:, -1] / np.clip(1 - ordered[:, -1], 1e-6, None))
        margin = np.log(ordered[:, -1] / ordered[:, -2])
        placed = (np.asarray(seen.embeddings, dtype=np.float64) - self._middle) @ self._axes
        return np.concatenate([sure[:, None], margin[:, None], placed], axis=1)

    def _standard(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.clip((raw - self._shift) / self._scale, -6, 6), dtype=np.float64)


def hits(seen: Observations, truth: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether each answer (n,) is right: the likeliest class is the true one of class numbers (n,).

    Where ``truth`` (n, k) says which classes apply, because samples may have several labels: it is one of them.
    """
    best = seen.probs.argmax(axis=1)
    right: NDArray[np.bool_] = best == truth if truth.ndim == 1 else truth[np.arange(len(best)), best] > 0
    return right


def density_ratio(reference: Floats, window: Floats) -> NDArray[np.float64]:
    """How much likelier each row (n,) of the reference is in the window; 1 on average, at most MOST_WEIGHT before."""
    n, m = len(reference), len(window)
    both = np.concatenate([reference, window])
    side = np.repeat([0.0, 1.0], [n, m])
    counts = np.repeat([0.5 * (n + m) / n, 0.5 * (n + m) / m], [n, m])
    weights = logistic(both, side, counts, WEIGHT_PENALTY)
    chance = np.clip(_chances(reference, weights), 1e-6, 1 - 1e-6)
    ratio = np.minimum(chance / (1 - chance), MOST_WEIGHT)
    return np.asarray(ratio / ratio.mean(), dtype=np.float64)


def logistic(
    features: Floats, targets: Floats, counts: Floats, penalty: float, *, steps: int = 30
) -> NDArray[np.float64]:
    """Weights (d + 1,), the bias last, of a logistic regression of ``targets`` (n,) 0..1, by Newton's method.

    ``counts`` (n,): for how many samples each stands. The bias has no penalty.
    """
    given = np.concatenate([features, np.ones((len(features), 1))], axis=1, dtype=np.float64)
    ridge = np.full(given.shape[1], penalty * float(counts.sum()))
    ridge[-1] = 1e-9
    weights = np.zeros(given.shape[1])
    for _ in range(steps):
        chance = expit(given @ weights)
        slope = given.T @ (counts * (chance - targets)) + ridge * weights
        curve = (given * (counts * chance * (1 - chance))[:, None]).T @ given + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights = weights - step * min(1.0, 4.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _chances(features: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(expit(features @ weights[:-1] + weights[-1]), dtype=np.float64)
