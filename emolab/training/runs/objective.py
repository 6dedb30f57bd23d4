"""What a model is to be best at: offsets of the logits that trade accuracy for finding rare classes.

Post-hoc logit adjustment (Menon et al. 2021, "Long-tail learning via logit adjustment", section 4.1): the logarithm
of each class's frequency, times a strength, is taken off its calibrated score. Strength 0 is best for accuracy,
1 for the mean recall of the classes; nothing is trained again, so the whole trade-off is known after one run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.inference.probabilities import softmax
from emolab.ranges import WORDS
from emolab.stats import metrics

OBJECTIVES = WORDS["training.objective"]
STRENGTHS = tuple(round(0.1 * i, 1) for i in range(16))
#: Macro-F1 may cost this much accuracy, against the best strength.
MOST_LOST = 0.02
#: With fewer validation samples a strength cannot be chosen by looking; half way is taken.
FEWEST, HALF_WAY = 100, 0.5


def log_prior(targets: NDArray[np.floating[Any]], supported: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logarithm of each class's share (k,) among the samples whose source can show it, less its mean.

    ``targets`` (n, k) are distributions over the classes ``supported`` (n, k) says are possible. A class that never
    occurs counts as half a sample.
    """
    able = np.maximum(supported.sum(axis=0), 1)
    shares = np.maximum(targets.sum(axis=0), 0.5) / able
    logs = np.log(shares)
    centred: NDArray[np.float64] = logs - logs.mean()
    return centred


def trade_off(
    logits: NDArray[np.floating[Any]],
    truth: NDArray[np.integer[Any]],
    prior: NDArray[np.floating[Any]],
    classes: tuple[str, ...],
) -> list[dict[str, float]]:
    """Accuracy, macro-F1 and balanced accuracy of calibrated ``logits`` (n, k) less strength x ``prior`` (k,)."""
    rows: list[dict[str, float]] = []
    for strength in STRENGTHS:
        found = metrics.summary(softmax(logits - strength * prior), truth, classes)
        rows.append(
            {"strength": strength, **{key: found[key] for key in ("accuracy", "macro_f1", "balanced_accuracy")}}
        )
    return rows


def choose(objective: str, rows: list[dict[str, float]], n: int) -> float:
    """The strength for ``objective``, from the ``rows`` of :func:`trade_off` on ``n`` validation samples.

    ``accuracy`` is 0 and ``balanced`` 1 whatever was measured; ``macro_f1`` takes the strength with the highest
    macro-F1 among those that lose at most two points of accuracy, the smallest of equals.
    """
    if objective == "accuracy":
        return 0.0
    if objective == "balanced":
        return 1.0
    if n < FEWEST:
        return HALF_WAY
    floor = max(row["accuracy"] for row in rows) - MOST_LOST
    allowed = [row for row in rows if row["accuracy"] >= floor]
    return max(allowed, key=lambda row: (row["macro_f1"], -row["strength"]))["strength"]
