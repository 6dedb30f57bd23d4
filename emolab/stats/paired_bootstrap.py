"""Differences between two models on the same samples, with intervals from resampled groups.

Samples of one group (a person, a video, near copies) are drawn together, the same for both models (paired bootstrap:
Efron 1979; Koehn 2004). The percentiles are taken a little further out, as far as a t interval is wider than a normal
one, without which the bootstrap is too sure of few samples (expanded percentile interval, Hesterberg 2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

RESAMPLES, LEVEL, PART = 2000, 0.95, 250
#: Figures that are compared; of the first the higher one decides. Of log loss, the lower one is better.
FIGURES = ("macro_f1", "accuracy", "nll")
METHOD = "paired bootstrap of 2,000 resamplings by group, expanded percentiles (Efron 1979, Hesterberg 2015)"


def interval(
    new: NDArray[np.float32],
    old: NDArray[np.float32],
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
) -> tuple[dict[str, float], dict[str, float]]:
    """Lower and upper ends, by figure, of the differences new - old.

    ``new`` and ``old`` (v, k) are probabilities of samples whose classes are ``truth`` (v,), ``groups`` (v,) says which
    belong together.
    """
    k = new.shape[1]
    _, group = np.unique(groups, return_inverse=True)
    m = int(group.max()) + 1
    sums = [_by_group(_sums(probs, truth, k), group, m) for probs in (new, old)]
    rng = np.random.default_rng(seed)
    found: dict[str, list[NDArray[np.float64]]] = {key: [] for key in FIGURES}
    for start in range(0, RESAMPLES, PART):
        drawn = rng.multinomial(m, np.full(m, 1 / m), size=min(PART, RESAMPLES - start)).astype(np.float64)
        mine, theirs = (_figures(drawn @ each, k) for each in sums)
        for key in FIGURES:
            found[key].append(mine[key] - theirs[key])
    outside = float(norm.cdf(np.sqrt(m / (m - 1)) * t.ppf((1 - LEVEL) / 2, m - 1)))
    ends = {key: np.quantile(np.concatenate(parts), [outside, 1 - outside]) for key, parts in found.items()}
    return {key: float(pair[0]) for key, pair in ends.items()}, {key: float(pair[1]) for key, pair in ends.items()}


def figures(probs: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, float]:
    """The figures of probabilities (v, k) of samples whose classes are ``truth`` (v,), as the intervals are made of."""
    k = probs.shape[1]
    return {key: float(value[0]) for key, value in _figures(_sums(probs, truth, k).sum(axis=0)[None], k).items()}


def _sums(probs: NDArray[np.float32], truth: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """What the figures are made of, per sample (v, 3 k + 2): hits, members and answers per class, 1, log loss."""
    rows, guess = np.arange(len(truth)), probs.argmax(axis=1)
    found = np.zeros((len(truth), 3 * k + 2))
    found[rows, truth] = guess == truth
    found[rows, k + truth] = 1
    found[rows, 2 * k + guess] = 1
    found[:, 3 * k] = 1
    found[:, 3 * k + 1] = -np.log(np.clip(probs[rows, truth].astype(np.float64), 1e-12, None))
    return found


def _by_group(sums: NDArray[np.float64], group: NDArray[np.int64], m: int) -> NDArray[np.float64]:
    total = np.zeros((m, sums.shape[1]))
    np.add.at(total, group, sums)
    return total


def _figures(sums: NDArray[np.float64], k: int) -> dict[str, NDArray[np.float64]]:
    """The figures of resamplings from their ``sums`` (r, 3 k + 2); macro-F1 over the classes that occur in each."""
    hits, members, answers = sums[:, :k], sums[:, k : 2 * k], sums[:, 2 * k : 3 * k]
    occurs = members > 0
    f1 = np.where(occurs, 2 * hits / np.maximum(members + answers, 1), 0.0)
    n = sums[:, 3 * k]
    return {
        "macro_f1": f1.sum(axis=1) / occurs.sum(axis=1),
        "accuracy": hits.sum(axis=1) / n,
        "nll": sums[:, 3 * k + 1] / n,
    }
