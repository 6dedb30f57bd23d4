"""May a model take the place of another one? A pure decision on samples that neither has learned from.

1. The difference of macro-F1 gets a 95 % interval (:mod:`emolab.stats.paired_bootstrap`). The model is blocked where
   the whole interval lies below the margin: it is surely not good enough, whatever luck with these samples could do.
2. It is blocked where its calibration error or the CPU time of an answer is higher by more than the settings allow.
3. It is blocked where the recall of a class, or the accuracy on a source, is lower by more than the settings allow, and
   surely lower: the interval of that difference lies below zero.
4. With fewer than eight groups of samples nothing can be told, which blocks too: nobody is let in for want of judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from emolab.stats import metrics
from emolab.stats.paired_bootstrap import LEVEL, METHOD, RESAMPLES, interval

#: Groups below which nothing is told; samples below which a class or a source is not looked at by itself.
FEWEST_GROUPS, FEWEST_SAMPLES = 8, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """``margin`` of macro-F1; by how much calibration error, CPU time (a share) and recall may get worse."""

    margin: float = 0.0
    ece_rise: float = 0.05
    latency_rise: float = 1.0
    recall_drop: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """Whether the model ``passed``, the ``reasons`` in words (why not, or on what), and the figures as plain data."""

    passed: bool
    reasons: tuple[str, ...]
    document: Mapping[str, Any]


def decide(
    new: NDArray[np.floating[Any]],
    old: NDArray[np.floating[Any]],
    truth: NDArray[np.integer[Any]],
    classes: tuple[str, ...],
    *,
    groups: NDArray[np.integer[Any]],
    sources: NDArray[np.str_],
    latency: float,
    limits: GateLimits,
    seed: int = 0,
) -> GateVerdict:
    """The verdict on probabilities ``new`` and ``old`` (n, k) of samples whose classes are ``truth`` (n,).

    ``groups`` (n,) says which samples belong together, ``sources`` (n,) where each is from; ``latency`` is the CPU time
    of an answer of the new model as a multiple of the old one's. The same input gives the same verdict.
    """
    n, many = len(truth), len(np.unique(groups))
    document: dict[str, Any] = {"n": n, "groups": many, "level": LEVEL, "method": METHOD, "latency": latency}
    if many < FEWEST_GROUPS:
        few = f"only {n:,} holdout samples of {many} groups that neither has learned from, too few to tell"
        return GateVerdict(passed=False, reasons=(few,), document=document)
    mine, theirs = (metrics.summary(probs, truth, classes) for probs in (new, old))
    low, high = interval(
        new.astype(np.float32), old.astype(np.float32), truth.astype(np.int64), groups.astype(np.int64), seed=seed
    )
    keys = ("macro_f1", "accuracy", "balanced_accuracy", "nll", "ece")
    document |= {
        "new": {key: mine[key] for key in keys},
        "old": {key: theirs[key] for key in keys},
        "difference": {
            key: {"estimate": mine[key] - theirs[key], "low": low[key], "high": high[key]} for key in sorted(low)
        },
    }
    between = f"95 % interval {low['macro_f1']:+.3f} to {high['macro_f1']:+.3f}"
    told = (
        f"macro-F1 {mine['macro_f1']:.3f} against {theirs['macro_f1']:.3f} on {n:,} holdout samples, difference "
        f"{mine['macro_f1'] - theirs['macro_f1']:+.3f} ({between})"
    )
    why = []
    if high["macro_f1"] < limits.margin:
        why.append(f"{told}, which lies below the margin of {limits.margin:+.3f}")
    rise = mine["ece"] - theirs["ece"]
    if rise > limits.ece_rise:
        why.append(f"its calibration error is {rise:.3f} higher ({mine['ece']:.3f}), {limits.ece_rise:.3f} is allowed")
    if latency - 1 > limits.latency_rise:
        why.append(f"an answer costs {latency:.2f} times the CPU time, {1 + limits.latency_rise:.2f} is allowed")
    gain = (new.argmax(axis=1) == truth).astype(np.float64) - (old.argmax(axis=1) == truth)
    parts = [(f"the class {name}", truth == place) for place, name in enumerate(classes)]
    names = np.unique(sources)
    parts += [(f"the source {name}", sources == name) for name in names if len(names) > 1]
    slices = _slices(gain, groups, parts, seed)
    document["slices"] = slices
    for row in slices:
        if row["estimate"] < -limits.recall_drop and row["high"] < 0:
            why.append(
                f"recall of {row['of']} is {-row['estimate']:.3f} lower on {row['n']:,} samples (95 % interval "
                f"{row['low']:+.3f} to {row['high']:+.3f}), {limits.recall_drop:.3f} is allowed"
            )
    return GateVerdict(passed=not why, reasons=tuple(why) or (told,), document=document)


def _slices(
    gain: NDArray[np.float64],
    groups: NDArray[np.integer[Any]],
    parts: Sequence[tuple[str, NDArray[np.bool_]]],
    seed: int,
) -> list[dict[str, Any]]:
    """By how much the share of right answers differs in each part (its name, its samples (n,)) that is large enough.

    ``gain`` (n,) is 1 where the new model alone is right, -1 where the old one alone is.
    """
    found = []
    for what, rows in parts:
        if rows.sum() >= FEWEST_SAMPLES and len(np.unique(groups[rows])) >= FEWEST_GROUPS:
            low, high = _mean_interval(gain[rows], groups[rows], seed)
            mean = float(gain[rows].mean())
            found.append({"of": what, "n": int(rows.sum()), "estimate": mean, "low": low, "high": high})
    return found


def _mean_interval(gain: NDArray[np.float64], groups: NDArray[np.integer[Any]], seed: int) -> tuple[float, float]:
    """The ends of the 95 % interval of the mean of ``gain`` (n,), groups drawn whole."""
    _, group = np.unique(groups, return_inverse=True)
    m = int(group.max()) + 1
    sums, sizes = np.bincount(group, gain, m), np.bincount(group, minlength=m)
    drawn = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=RESAMPLES)
    means = (drawn @ sums) / (drawn @ sizes)
    outside = float(norm.cdf(np.sqrt(m / (m - 1)) * t.ppf((1 - LEVEL) / 2, m - 1)))
    low, high = np.quantile(means, [outside, 1 - outside])
    return float(low), float(high)
