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

from emolab.stats import metrics
from emolab.stats.paired_bootstrap import FIGURES, LEVEL, METHOD, interval

#: Samples from which on the figures decide alone; groups below which nothing is compared.
ENOUGH, FEWEST_GROUPS = 200, 8


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
