"""The accuracy of a period, realized on a few samples that people label, and whether the estimate agrees with it.

Samples are drawn from strata of confidence, more where answers are less sure, for which the same number of labels
tells more (Neyman 1934). What is drawn is weighted back, so the figure is that of the whole period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from emolab.errors import DataError
from emolab.monitoring.estimation import AccuracyEstimate
from emolab.monitoring.reference import Floats
from emolab.stats.proportions import Interval, wilson

#: Strata of the period, of equal size.
STRATA = 4
#: The least share of labels that a stratum gets, beside what its doubt asks for.
LEAST = 0.1


@dataclass(frozen=True, kw_only=True)
class AuditPlan:
    """``rows`` (n,) of the period that people are to label, and the stratum of every sample of it (m,)."""

    rows: NDArray[np.int64]
    strata: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RealizedAccuracy:
    """``accuracy`` of a period, from ``n`` labelled samples, its standard error and its interval of 95 %."""

    n: int
    accuracy: float
    error: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class AuditVerdict:
    """How far the estimate lies above what was realized, and the chance ``p`` of so much where its assumption holds."""

    difference: float
    p: float

    def words(self, level: float) -> str:
        """What that means, at ``level``."""
        if self.p > level:
            return f"The estimate agrees with the audit ({100 * self.difference:+.1f} points, p = {self.p:.2g})."
        side = "too high" if self.difference > 0 else "too low"
        return (
            f"The estimate is {side} by {100 * abs(self.difference):.1f} points (p = {self.p:.2g}): samples that look "
            "as before are no longer as often right. Trust the audit, and train again with new labels."
        )


def plan(confidence: Floats, n: int, rng: np.random.Generator) -> AuditPlan:
    """Which ``n`` of a period's samples to label, by the model's ``confidence`` (m,) in each; all of fewer.

    One of each stratum at least, so four where ``n`` is smaller: a stratum without a label says nothing of the period.
    """
    m = len(confidence)
    strata = np.empty(m, dtype=np.int64)
    strata[np.argsort(confidence, kind="stable")] = np.arange(m) * STRATA // max(1, m)
    if n >= m:
        return AuditPlan(rows=np.arange(m), strata=strata)
    sizes = np.bincount(strata, minlength=STRATA)
    doubt = np.array([_doubt(confidence[strata == h]) for h in range(STRATA)]) * sizes
    share = LEAST + (1 - STRATA * LEAST) * doubt / doubt.sum() if doubt.sum() else np.full(STRATA, 1 / STRATA)
    wanted = np.minimum(np.maximum(np.floor(share * n), 1), sizes).astype(np.int64)
    while wanted.sum() < n:  # what rounding and small strata left goes where most is left
        wanted[np.argmax(sizes - wanted)] += 1
    while wanted.sum() > max(n, STRATA):  # one for each stratum, however few there are
        wanted[np.argmax(wanted)] -= 1
    rows = [rng.choice(np.flatnonzero(strata == h), wanted[h], replace=False) for h in range(STRATA)]
    return AuditPlan(rows=np.sort(np.concatenate(rows)), strata=strata)


def realized(
    planned: AuditPlan, right: NDArray[np.bool_], answered: NDArray[np.int64] | None = None
) -> RealizedAccuracy:
    """The accuracy of the period; ``right`` (n,) says of each labelled sample whether the model's answer was.

    ``answered`` are the rows that were labelled [all of the plan]. Raises :class:`DataError` where a stratum has none.
    """
    rows = planned.rows if answered is None else answered
    sizes = np.bincount(planned.strata, minlength=STRATA)
    counts = np.bincount(planned.strata[rows], minlength=STRATA)
    hits = np.bincount(planned.strata[rows], weights=np.asarray(right, dtype=np.float64), minlength=STRATA)
    here = sizes > 0
    if (counts[here] == 0).any():
        raise DataError(
            "Of some strata of confidence no sample is labelled yet.",
            hint="Label the rest of the audit, or take a larger one.",
        )
    weight, p = sizes[here] / sizes.sum(), hits[here] / counts[here]
    smooth = (hits[here] + 1) / (counts[here] + 2)  # a stratum without a mistake is no proof that it has none
    left = 1 - counts[here] / sizes[here]
    variance = float((weight**2 * smooth * (1 - smooth) / counts[here] * left).sum())
    accuracy = float(weight @ p)
    base = float(weight @ smooth)
    interval = wilson(accuracy, base * (1 - base) / variance) if variance > 0 else Interval(accuracy, accuracy)
    return RealizedAccuracy(n=len(rows), accuracy=accuracy, error=math.sqrt(variance), interval=interval)


def agrees(estimate: AccuracyEstimate, found: RealizedAccuracy) -> AuditVerdict:
    """Whether an estimate of the same period agrees with what was realized: two-sided, as both errors are normal."""
    difference = estimate.accuracy - found.accuracy
    error = math.hypot(estimate.error, found.error)
    p = 2 * float(norm.sf(abs(difference) / error)) if error > 0 else float(difference == 0)
    return AuditVerdict(difference=difference, p=p)


def _doubt(confidence: NDArray[np.floating[Any]]) -> float:
    mean = float(np.mean(confidence)) if len(confidence) else 0.0
    return math.sqrt(max(0.0, mean * (1 - mean)))
