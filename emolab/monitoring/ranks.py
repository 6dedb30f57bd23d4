"""Columns by their ranks in the reference: whatever their distribution, a change of place, width or shape shows.

A value becomes its rank in the reference, 0 to 1, and that becomes the first cosines of an orthogonal series: the test
of Neyman (1937, "Smooth test for goodness of fit") for two samples. Outliers weigh no more than the largest rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emolab.monitoring.reference import Floats

#: Place, width, lean and one more wave.
TERMS = 4


def ranks(reference: Floats, values: Floats) -> NDArray[np.float64]:
    """The middle rank (m,) in 0..1 of each of ``values`` (m,) among those of ``reference`` (n,)."""
    held = np.sort(reference)
    low, high = np.searchsorted(held, values, side="left"), np.searchsorted(held, values, side="right")
    return np.asarray((low + high) / (2 * max(1, len(held))), dtype=np.float64)


def waves(reference: Floats, values: Floats) -> NDArray[np.float64]:
    """Features (m, TERMS) of the ranks."""
    place = ranks(reference, values)[:, None]
    found: NDArray[np.float64] = np.sqrt(2) * np.cos(np.pi * np.arange(1, TERMS + 1)[None, :] * place)
    return found


def change(reference: Floats, values: Floats, *, unit: str = "") -> str:
    """Both medians in words; both means, where the medians are one number, as of a share that is mostly 0.

    >>> change(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 9]))
    'mean 0.25 -> 2.25'
    """
    before, now = (f"{np.median(column):.3g}{unit}" for column in (reference, values))
    if before != now:
        return f"median {before} -> {now}"
    return f"mean {np.mean(reference):.3g}{unit} -> {np.mean(values):.3g}{unit}"
