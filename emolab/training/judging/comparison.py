"""Two models side by side on the same samples: figures, the difference with an interval, and which one is kept.

1. Both are judged on the validation samples that neither has learned from.
2. The difference of each figure gets a 95 % interval from 2,000 resamplings of the samples, the same for both models
   (paired bootstrap: Efron 1979; Koehn 2004). Samples of one group (a person, a video, near copies) are drawn together.
   The percentiles are taken a little further out, as far as a t interval is wider than a normal one, without which the
   bootstrap is too sure of few samples (expanded percentile interval, Hesterberg 2015).
3. With 200 samples or more the higher macro-F1 wins, whatever the interval. With fewer, or where it is not known what
   one of them has learned, the new model wins only where the interval lies above zero. With fewer than eight
   groups there is no interval, and the model to beat stays.

The epoch, temperature and class offsets of the new model were chosen on the validation samples, so they speak a little
for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from emolab.stats import metrics

#: Samples from which on the figures decide alone; groups below which nothing is compared.
ENOUGH, FEWEST_GROUPS = 200, 8
RESAMPLES, LEVEL, PART = 2000, 0.95, 250
#: Figures that are compared; of the first the higher one decides. Of log loss, the lower one is better.
FIGURES = ("macro_f1", "accuracy", "nll")
METHOD = "paired bootstrap of 2,000 resamplings by group, expanded percentiles (Efron 1979, Hesterberg 2015)"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the new model ``wins``, why in words, and the figures as plain data for the model's document."""

    wins: bool
    reason: str
    document: dict[str, Any]


def compare(
    new: NDArray[np.float32],
    old: NDArray[np.float32],
    truth: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    groups: NDArray[np.int64],
    fair: NDArray[np.bool_],
    unknown: tuple[str, ...],
    against: str,
    seed: int = 0,
) -> Verdict:
    """The verdict on probabilities ``new`` and ``old`` (v, k) of samples whose classes are ``truth`` (v,).

    ``groups`` (v,) says which belong together, ``fair`` (v,) which neither has learned from, ``unknown`` in words what
    nobody recorded about that, ``against`` names the model to beat.
    """
    n, many = int(fair.sum()), len(np.unique(groups[fair]))
    document: dict[str, Any] = {
        "against": against,
        "n": n,
        "groups": many,
        "learned": int((~fair).sum()),
        "unknown": list(unknown),
    }
    where = f"the same {n:,} samples" if fair.all() else f"the {n:,} samples that neither has learned from"
    if many < FEWEST_GROUPS:
        some = f"only {n:,} validation samples that neither has learned from"
        if not n:
            some = "no validation sample that neither has learned from" if len(fair) else "no validation samples"
        reason = (
            f"{some} to compare on, so {against} stays"
            if not n or n == many
            else (f"the {n:,} samples to compare on belong to {many} groups, too few to tell, so {against} stays")
        )
        return Verdict(wins=False, reason=reason, document={**document, "wins": False})
    both = [metrics.summary(probs[fair], truth[fair], classes) for probs in (new, old)]
    mine, theirs = ({key: found[key] for key in FIGURES} for found in both)
    low, high = interval(new[fair], old[fair], truth[fair], groups[fair], seed=seed)
    difference = {key: {"estimate": mine[key] - theirs[key], "low": low[key], "high": high[key]} for key in FIGURES}
    main = difference["macro_f1"]
    sure = main["low"] > 0
    alone = n >= ENOUGH and not unknown
    wins = main["estimate"] > 0 if alone else sure
    reason = (
        f"macro-F1 {mine['macro_f1']:.3f} against {theirs['macro_f1']:.3f} of {against} on {where}; difference "
        f"{main['estimate']:+.3f} (95 % interval {main['low']:+.3f} to {main['high']:+.3f})"
    )
    if not alone:
        why = f"fewer than {ENOUGH} samples" if n < ENOUGH else "not all is known of what they learned from"
        reason += f"; {why}, and the interval {'lies above' if sure else 'does not lie above'} zero"
    document |= {"new": mine, "old": theirs, "difference": difference, "level": LEVEL, "method": METHOD, "wins": wins}
    return Verdict(wins=wins, reason=reason, document=document)


def interval(
    new: NDArray[np.float32],
    old: NDArray[np.float32],
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
) -> tuple[dict[str, float], dict[str, float]]:
    """Lower and upper ends, by figure, for the differences new - old; arguments as in :func:`compare`."""
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
