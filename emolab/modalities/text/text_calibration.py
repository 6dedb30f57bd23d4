"""What a model of sentences states about how sure it is: a temperature, and sets that hold all labels of a sentence.

Both are fitted on training sentences while they were held out. So validation sentences judge them and chose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.inference import uncertainty
from emolab.stats import class_temperature, multilabel
from emolab.stats.class_temperature import ClassTemperature
from emolab.stats.sparse_logistic import sigmoid

Floats = NDArray[np.floating[Any]]
#: From here on single precision hardly tells probabilities apart, so that no threshold may lie there.
SURE = 1 - 1e-4
#: Where a document holds them.
TEMPERATURE, CONFORMAL = "temperature", "conformal"


@dataclass(frozen=True, eq=False)
class TextCalibration:
    """The ``temperature`` of a model, and what it states about sets, as :func:`emolab.inference.uncertainty.fit` says.

    ``conformal`` is empty where there were too few sentences.
    """

    temperature: ClassTemperature
    conformal: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Both as a model's document keeps them."""
        made = self.temperature
        told = {"value": made.value, "rest": [float(value) for value in made.rest], "n": made.n}
        return {TEMPERATURE: told, CONFORMAL: dict(self.conformal)}


def calibrated(
    logits: Floats, truth: NDArray[np.bool_], known: NDArray[np.bool_] | None, thresholds: NDArray[np.float64]
) -> tuple[TextCalibration, NDArray[np.float64]]:
    """What fits the log-odds (n, k) of sentences that were held out, and the classes ``truth`` (n, k) that apply.

    The ``thresholds`` (k,) on uncalibrated probabilities come carried over, so that labels stay as they were; where
    single precision could not tell, the temperature stays 1. Where ``known`` (n, k) is false, nothing is known of a
    class.
    """
    made = class_temperature.fit(logits, truth, known)
    carried = made.thresholds(thresholds)
    if ((carried > SURE) & (carried < 1)).any():
        made, carried = replace(made, value=1.0), thresholds
    labelled = truth.any(axis=1)
    return TextCalibration(made, uncertainty.fit(made.probabilities(logits[labelled]), truth[labelled])), carried


def cross_fitted(
    logits: Floats, truth: NDArray[np.bool_], known: NDArray[np.bool_] | None, fold: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Probabilities (n, k) of the ``logits`` (n, k) of each ``fold`` (n,) by the temperature of the other folds."""
    found = np.zeros(truth.shape, np.float32)
    fewest = class_temperature.FEWEST if len(truth) < class_temperature.FEWEST else 1
    for part in range(int(fold.max()) + 1):
        mine = fold == part
        told = None if known is None else known[~mine]
        found[mine] = class_temperature.fit(logits[~mine], truth[~mine], told, fewest=fewest).probabilities(
            logits[mine]
        )
    return found


def honest(
    logits: Floats, truth: NDArray[np.bool_], known: NDArray[np.bool_] | None, fold: NDArray[np.int64]
) -> dict[str, Any]:
    """Log loss, calibration error and its bins on held-out sentences, and the first two ``before_temperature``.

    No fold calibrates itself.
    """
    after = cross_fitted(logits, truth, known, fold)
    return {
        **multilabel.honesty(truth, after),
        "reliability": multilabel.bins_of(truth, after),
        "before_temperature": multilabel.honesty(truth, sigmoid(logits)),
    }


def read_calibration(document: Mapping[str, Any]) -> TextCalibration | None:
    """What ``document`` holds; ``None`` where nothing was fitted, as in models of an earlier emolab.

    Raises :class:`ValueError` for what cannot be.
    """
    told = document.get(TEMPERATURE)
    if told is None:
        return None
    try:
        value, rest, n = float(told["value"]), np.array(told["rest"], np.float64), int(told["n"])
        conformal = dict(document.get(CONFORMAL, {}))
        levels = [float(level) for level in conformal.get("levels", {}).values()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"its temperature cannot be read: {error}") from error
    if not (math.isfinite(value) and value > 0 and rest.shape == (len(document["classes"]),)):
        raise ValueError("its temperature does not fit its classes")
    if not np.isfinite(rest).all() or not all(0 <= level <= 1 for level in levels):
        raise ValueError("its temperature or a level is no number that can be")
    return TextCalibration(ClassTemperature(value, rest, n), conformal)
