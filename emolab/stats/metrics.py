"""How good and how honest a classifier is, from probabilities and true classes. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


def confusion(truth: NDArray[np.integer[Any]], guess: NDArray[np.integer[Any]], k: int) -> NDArray[np.int64]:
    """Counts (k, k): rows are the true classes, columns the predicted ones."""
    cells = truth.astype(np.int64) * k + guess.astype(np.int64)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def per_class(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per class: precision, recall, F1 (``None`` where undefined), support and how often predicted."""
    hit = np.diag(matrix)
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(classes):
        rows.append(
            {
                "class": name,
                "precision": float(hit[i] / predicted[i]) if predicted[i] else None,
                "recall": float(hit[i] / support[i]) if support[i] else None,
                "f1": float(2 * hit[i] / (support[i] + predicted[i])) if support[i] else None,
                "support": int(support[i]),
                "predicted": int(predicted[i]),
            }
        )
    return rows


def macro_f1(truth: NDArray[np.integer[Any]], guess: NDArray[np.integer[Any]], k: int) -> float:
    """Mean F1 over those of ``k`` classes that occur in ``truth`` (n,); each counts the same, however rare."""
    matrix = confusion(truth, guess, k)
    support = matrix.sum(axis=1)
    f1 = 2 * np.diag(matrix) / np.maximum(support + matrix.sum(axis=0), 1)
    return float(f1[support > 0].mean())


def reliability(
    probs: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]], bins: int = BINS
) -> list[dict[str, float]]:
    """Non-empty equal-width bins of the winning probability: lower edge, mean confidence, accuracy, count."""
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == truth
    slot = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return [
        {
            "low": b / bins,
            "confidence": float(confidence[slot == b].mean()),
            "accuracy": float(right[slot == b].mean()),
            "count": float((slot == b).sum()),
        }
        for b in range(bins)
        if (slot == b).any()
    ]


def expected_calibration_error(
    probs: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]], bins: int = BINS
) -> float:
    """Mean gap between confidence and accuracy over 15 equal-width bins, weighted by count (Guo et al. 2017)."""
    rows = reliability(probs, truth, bins)
    return sum(r["count"] * abs(r["confidence"] - r["accuracy"]) for r in rows) / len(truth)


def negative_log_likelihood(probs: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]]) -> float:
    """Mean of -log p(true class), in nats."""
    picked = probs[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(picked, 1e-12, None)).mean())


def brier(probs: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]]) -> float:
    """Mean squared distance between probabilities and the true class as one-hot, summed over classes (0..2)."""
    gap = probs.astype(np.float64)
    gap = gap.copy()
    gap[np.arange(len(truth)), truth] -= 1.0
    return float((gap**2).sum(axis=1).mean())


def entropy(probs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Shannon entropy (n,) of the rows of ``probs`` (n, k), in nats."""
    safe = np.clip(probs.astype(np.float64), 1e-12, None)
    result: NDArray[np.float64] = -(probs * np.log(safe)).sum(axis=1)
    return result


def against_votes(probs: NDArray[np.floating[Any]], votes: NDArray[np.floating[Any]]) -> dict[str, float | None]:
    """How near ``probs`` (n, k) come to the distributions of the ``votes`` (n, k), not only to their winners.

    ``cross_entropy`` in nats and ``brier`` (0..2) are means over the samples; ``entropy_correlation`` is the rank
    correlation (Spearman) of the entropies: 1 where the model is unsure exactly where people disagree, ``None``
    where one side is always equally sure. Peterson et al. 2019, "Human uncertainty makes classification more robust".
    """
    from scipy.stats import spearmanr

    told = votes.astype(np.float64)
    crossed = -(told * np.log(np.clip(probs.astype(np.float64), 1e-12, None))).sum(axis=1)
    mine, theirs = entropy(probs), entropy(told)
    varied = len(told) > 2 and np.ptp(mine) > 1e-9 and np.ptp(theirs) > 1e-9
    return {
        "cross_entropy": float(crossed.mean()),
        "brier": float(((probs - told) ** 2).sum(axis=1).mean()),
        "entropy_correlation": float(spearmanr(mine, theirs).statistic) if varied else None,
    }


def summary(
    probs: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Everything about ``probs`` (n, k) against ``truth`` (n,), ready for JSON.

    ``macro_f1`` and ``balanced_accuracy`` are means over the classes that occur in ``truth`` (``present`` says how
    many). With n = 0 the dictionary holds only ``n`` and empty tables.
    """
    n = len(truth)
    if n == 0:
        return {"n": 0, "present": 0, "per_class": [], "confusion": []}
    matrix = confusion(truth, probs.argmax(axis=1), len(classes))
    rows = per_class(matrix, classes)
    present = [row for row in rows if row["support"]]
    return {
        "n": n,
        "present": len(present),
        "accuracy": float(np.trace(matrix) / n),
        "macro_f1": macro_f1(truth, probs.argmax(axis=1), len(classes)),
        "balanced_accuracy": float(np.mean([row["recall"] for row in present])),
        "nll": negative_log_likelihood(probs, truth),
        "ece": expected_calibration_error(probs, truth),
        "brier": brier(probs, truth),
        "per_class": rows,
        "confusion": matrix.tolist(),
        "reliability": reliability(probs, truth),
    }
