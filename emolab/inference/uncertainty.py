"""When a model says that it is unsure: a threshold on its confidence, and sets that hold the right class often enough.

The sets are conformal (split conformal prediction; Vovk, Gammerman, Shafer 2005, "Algorithmic learning in a random
world"; least ambiguous sets: Sadinle, Lei, Wasserman 2019, "Least ambiguous set-valued classifiers with bounded error
levels"): a class is in the set when its probability is at least ``1 - q``, where q was fitted on images the model had
not learned from. If new images are like those, the set holds the class most people saw in at least the stated share.
Where a sample may have several labels, the set holds all of them as often: it is fitted on the least likely of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The shares for which a threshold is fitted and kept with a model.
COVERAGES = (0.8, 0.9, 0.95)
#: Fewer images than this say nothing about one in twenty.
FEWEST = 100


@dataclass(frozen=True)
class Uncertainty:
    """``threshold``: below this confidence an answer is unsure (0: never). ``level``: the probability from which on a
    class is in the set, ``None`` without sets.
    """

    threshold: float = 0.0
    level: float | None = None

    def unsure(self, probs: NDArray[np.float32]) -> bool:
        """Whether the best of ``probs`` (k,) is below the threshold."""
        return float(probs.max()) < self.threshold

    def among(self, probs: NDArray[np.float32]) -> tuple[int, ...] | None:
        """The set for ``probs`` (k,), the likeliest class first; the best class is always in it."""
        if self.level is None:
            return None
        order = np.argsort(-probs, kind="stable")
        return tuple(int(i) for place, i in enumerate(order) if place == 0 or probs[i] >= self.level)


#: The true class (n,) of each sample, or which classes (n, k) apply to it: one at least.
Truth = NDArray[np.integer[Any]] | NDArray[np.bool_]


def fit(probs: NDArray[np.floating[Any]], truth: Truth) -> dict[str, Any]:
    """What calibrated ``probs`` (n, k) of images not learned from and their ``truth`` let a model state.

    ``n`` and ``levels``, coverage -> level; empty with fewer than :data:`FEWEST` images. A coverage that so few images
    cannot promise gets level 0: all classes.
    """
    n = len(truth)
    if n < FEWEST:
        return {}
    scores = np.sort(1 - np.where(_applies(probs, truth), np.asarray(probs, np.float64), np.inf).min(axis=1))
    levels = {}
    for coverage in COVERAGES:
        place = math.ceil((n + 1) * coverage)
        levels[f"{coverage:g}"] = 0.0 if place > n else float(max(0.0, 1 - scores[place - 1]))
    return {"n": n, "levels": levels}


def measured(probs: NDArray[np.floating[Any]], truth: Truth, level: float) -> tuple[float, float]:
    """The share of sets that hold all of ``truth``, and their mean size, for ``probs`` (n, k) at ``level``."""
    inside = np.asarray(probs) >= level
    inside[np.arange(len(truth)), np.asarray(probs).argmax(axis=1)] = True
    held = (inside | ~_applies(probs, truth)).all(axis=1)
    return float(held.mean()), float(inside.sum(axis=1).mean())


def _applies(probs: NDArray[np.floating[Any]], truth: Truth) -> NDArray[np.bool_]:
    """Which classes (n, k) apply, by either form of ``truth``."""
    if truth.ndim == 2:
        return truth.astype(bool)
    found: NDArray[np.bool_] = np.arange(probs.shape[1]) == truth[:, None]
    return found


def level_for(stated: Mapping[str, Any], coverage: float) -> float | None:
    """The level that what a model ``stated`` (see :func:`fit`) has for ``coverage``; ``None`` where it has none."""
    found = stated.get("levels", {}).get(f"{coverage:g}")
    return None if found is None else float(found)


def check(stated: Mapping[str, Any], probs: NDArray[np.floating[Any]], truth: Truth) -> list[dict[str, float]]:
    """For each coverage ``stated``: what it is on other images, ``reached``, and the mean ``size`` of the sets."""
    found = []
    for coverage, level in stated.get("levels", {}).items():
        reached, size = measured(probs, truth, level)
        found.append({"coverage": float(coverage), "reached": reached, "size": size})
    return found
