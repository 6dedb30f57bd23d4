"""Several labels a sample: from probabilities to labels by a threshold for each class, and how right they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.stats.metrics import expected_calibration_error, reliability

Floats = NDArray[np.floating[Any]]
#: The log-odds that a class with threshold 1 would need: no sample is near them.
_NEVER = 1e6


def best_thresholds(truth: NDArray[np.bool_], probs: Floats) -> NDArray[np.float64]:
    """For each class (k,) the threshold with the highest F1 on ``truth`` (n, k) and ``probs`` (n, k).

    It lies in the middle between the last probability that is taken and the first that is not. A class that nobody
    has gets 1, so it is never said. What is found is too good for the same samples: judge it on others.

    >>> best_thresholds(np.array([[1], [1], [0], [0]], bool), np.array([[0.9], [0.5], [0.3], [0.1]])).tolist()
    [0.4]
    """
    n, k = truth.shape
    found = np.ones(k)
    for j in range(k):
        positives = int(truth[:, j].sum())
        if not positives:
            continue
        order = np.argsort(-probs[:, j], kind="stable")
        ranked = probs[order, j].astype(np.float64)
        f1 = 2 * np.cumsum(truth[order, j]) / (np.arange(1, n + 1) + positives)
        f1[:-1][ranked[:-1] == ranked[1:]] = 0  # equal probabilities are taken together
        last = int(f1.argmax())
        found[j] = (ranked[last] + ranked[last + 1]) / 2 if last + 1 < n else ranked[last] / 2
    return found


def labels(probs: Floats, thresholds: Floats) -> NDArray[np.bool_]:
    """Which classes (n, k) each sample has: those whose probability reaches their threshold, unless that is 1; the
    one nearest to its own where none does, so that each sample has one at least.

    >>> labels(np.array([[0.6, 0.5], [0.2, 0.1]]), np.array([0.5, 0.4])).tolist()
    [[True, True], [True, False]]
    """
    said: NDArray[np.bool_] = (probs >= thresholds) & (thresholds < 1)
    none = np.flatnonzero(~said.any(axis=1))
    reached = np.where(thresholds < 1, log_odds(np.asarray(thresholds)), _NEVER)
    odds = log_odds(probs[none]) - reached
    said[none, odds.argmax(axis=1)] = True
    return said


def applying(shares: Floats) -> NDArray[np.bool_]:
    """Which classes (n, k) are labels by ``shares`` (n, k) of votes: those with half of what the leader has, or more.

    >>> applying(np.array([[0.4, 0.4, 0.2], [0.7, 0.3, 0.0]])).tolist()
    [[True, True, True], [True, False, False]]
    """
    found: NDArray[np.bool_] = shares >= shares.max(axis=1, keepdims=True) / 2
    return found


def log_odds(probs: Floats) -> NDArray[np.float64]:
    """``ln(p / (1 - p))`` of each probability, finite also for 0 and 1."""
    safe = np.clip(probs.astype(np.float64), 1e-30, 1 - 1e-9)
    found: NDArray[np.float64] = np.log(safe) - np.log1p(-safe)
    return found


def summary(
    truth: NDArray[np.bool_], said: NDArray[np.bool_], probs: Floats, classes: tuple[str, ...]
) -> dict[str, Any]:
    """Everything about the labels ``said`` (n, k) against ``truth`` (n, k), ready for JSON.

    ``macro_f1`` is the mean of F1 over the classes that occur in ``truth`` (``present``), ``micro_f1`` that of all
    decisions together; ``exact`` the share of samples with no label too many or too few. ``log_loss`` and ``ece`` as in
    :func:`honesty`, ``reliability`` has the bins of the latter.
    """
    n = len(truth)
    if n == 0:
        return {"n": 0, "present": 0, "per_class": []}
    hit, support, predicted = (truth & said).sum(axis=0), truth.sum(axis=0), said.sum(axis=0)
    f1 = 2 * hit / np.maximum(1, support + predicted)
    there = support > 0
    rows = [
        {
            "class": name,
            "precision": float(hit[j] / predicted[j]) if predicted[j] else None,
            "recall": float(hit[j] / support[j]) if support[j] else None,
            "f1": float(f1[j]) if support[j] else None,
            "support": int(support[j]),
            "predicted": int(predicted[j]),
        }
        for j, name in enumerate(classes)
    ]
    return {
        "n": n,
        "present": int(there.sum()),
        "macro_f1": float(f1[there].mean()) if there.any() else 0.0,
        "micro_f1": float(2 * hit.sum() / max(1, support.sum() + predicted.sum())),
        "exact": float((truth == said).all(axis=1).mean()),
        **honesty(truth, probs),
        "reliability": bins_of(truth, probs),
        "per_class": rows,
    }


def bins_of(truth: NDArray[np.bool_], probs: Floats) -> list[dict[str, float]]:
    """The bins behind the calibration error of :func:`honesty`; see :func:`emolab.stats.metrics.reliability`."""
    return reliability(probs, _applying(truth, probs))


def honesty(truth: NDArray[np.bool_], probs: Floats) -> dict[str, float]:
    """How far ``probs`` (n, k) mean what they say against ``truth`` (n, k), n > 0.

    ``log_loss`` is the mean over samples and classes, in nats; ``ece`` the calibration error (15 bins) of the likeliest
    class: how far its probability is from the share of samples to which it applies.
    """
    safe = np.clip(probs.astype(np.float64), 1e-7, 1 - 1e-7)
    return {
        "log_loss": float(-np.where(truth, np.log(safe), np.log1p(-safe)).mean()),
        "ece": expected_calibration_error(probs, _applying(truth, probs)),
    }


def _applying(truth: NDArray[np.bool_], probs: Floats) -> NDArray[np.int64]:
    """The likeliest class (n,) where it applies, else -1."""
    best = probs.argmax(axis=1)
    return np.where(truth[np.arange(len(truth)), best], best, -1)
