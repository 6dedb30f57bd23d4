"""How good what was said of held-out samples is: log loss against the votes decides, the other figures are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.inference.probabilities import softmax
from emolab.stats import metrics
from emolab.training.judging.calibrate import fit_temperature

if TYPE_CHECKING:
    from emolab.loop.model.tuning.tune_material import TuneMaterial

#: Figures of a fold that are kept.
FIGURES = ("accuracy", "macro_f1", "nll")


@dataclass(frozen=True)
class HeldScore:
    """``loss`` in nats against the distributions of the votes; ``figures`` against their winners; ``probs`` (h, k)."""

    loss: float
    figures: dict[str, float]
    probs: NDArray[np.float32]


def score(material: TuneMaterial, fold: int, logits: NDArray[np.floating[Any]]) -> HeldScore:
    """What ``logits`` (h, k) of the samples that judge in ``fold`` are worth, calibrated.

    The temperature of each half is fitted on the other one, so that no sample calibrates its own answer.
    """
    data, rows = material.data, material.held(fold)
    able = data.supported[rows]
    masked = np.where(able, logits, -1e9)
    half = np.arange(len(rows)) % 2
    probs = np.empty(masked.shape, dtype=np.float32)
    for side in (0, 1):
        mine, others = half == side, half != side
        probs[mine] = softmax(masked[mine], fit_temperature(masked[others], data.hard[rows[others]]))
    safe = np.log(np.clip(probs.astype(np.float64), 1e-12, None))
    loss = float(-(data.targets[rows] * np.where(able, safe, 0.0)).sum(axis=1).mean())
    told = metrics.summary(probs, data.hard[rows], data.classes)
    return HeldScore(loss, {key: float(told[key]) for key in FIGURES}, probs)
