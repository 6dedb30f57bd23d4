"""Two ways of judging an image, alone or together with its mirror image, each with a temperature of its own.

Together means the mean of both logits (Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural
networks", average the shares of ten views): temperature and class offsets act on logits, and with a linear head it is
the same as the mean of both features. It doubles the work of every prediction, so both ways stay open to every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.inference import probabilities, uncertainty
from emolab.inference.probabilities import softmax
from emolab.stats import metrics
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.judging.calibrate import fit_temperature

#: Figures of each way that are kept with a model.
KEPT = ("accuracy", "macro_f1", "balanced_accuracy", "nll", "ece", "brier")
OFF, ON = "off", "on"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One way's ``temperature``, calibrated ``probs`` (v, k) of the validation samples, figures by them and before.

    ``conformal``: what they let the model state about sets of classes (:mod:`emolab.inference.uncertainty`).
    """

    temperature: float
    probs: NDArray[np.float32]
    measured: dict[str, Any]
    before: dict[str, Any]
    conformal: dict[str, Any]

    @property
    def brief(self) -> dict[str, float]:
        """The temperature and the headline figures."""
        return {"temperature": self.temperature, **{key: self.measured[key] for key in KEPT if key in self.measured}}


def ways(alone: NDArray[np.float32], mirrored: NDArray[np.float32] | None, data: TrainingSet) -> dict[str, Judged]:
    """What both ways are worth on ``data.valid``; the second one is missing where no mirror image was looked at."""
    found = {OFF: judged(alone, data)}
    return found if mirrored is None else {**found, ON: judged(probabilities.together(alone, mirrored), data)}


def judged(logits: NDArray[np.float32], data: TrainingSet) -> Judged:
    """What ``logits`` (v, k) of ``data.valid`` are worth, with the temperature that fits them best."""
    truth, told = data.hard[data.valid], data.targets[data.valid]
    able = np.where(data.supported[data.valid], logits, -1e9)
    temperature = fit_temperature(able, truth)
    probs, raw = softmax(able, temperature), softmax(able)
    measured, before = (metrics.summary(p, truth, data.classes) for p in (probs, raw))
    if len(truth):
        measured["votes"], before["votes"] = (metrics.against_votes(p, told) for p in (probs, raw))
    return Judged(
        temperature=temperature,
        probs=probs,
        measured=measured,
        before=before,
        conformal=uncertainty.fit(probs, truth),
    )
