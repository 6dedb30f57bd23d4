"""Normalisation by speaker: how loud each band of one person's clips is, and the same clips without that.

What is taken off is the person's own mean in each band, and what is left is divided by the person's own spread (mean
and variance normalisation, Viikki and Laurila 1998, over all clips of one speaker). It is transductive: the clips that
are judged take part, and an answer depends on which others are known. No label is looked at.

Pictures are bytes, and 0 is beside the clip. So all of it is counting and one table of 256 bytes for each band: whole
numbers, the same in every order and on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Values of a byte.
VALUES = 256
#: Standard deviations to either side of a mean that 1 to 255 stand for.
REACH = 4.0
#: The smallest spread that is divided by, in steps of the picture: one decibel.
LEAST = 254 / 80


def counted(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each value stands in each band of ``pixels`` (n, bands, frames, 1): (bands, 256)."""
    bands = pixels.shape[1]
    places = pixels[..., 0].astype(np.int64) + VALUES * np.arange(bands, dtype=np.int64)[:, None]
    return np.bincount(places.ravel(), minlength=VALUES * bands).reshape(bands, VALUES)


def table(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """What becomes of each value in each band (bands, 256) of a speaker with these ``counts`` (bands, 256).

    128 is the speaker's mean, 32 steps are about one standard deviation. 0, which is beside the clip, is not counted
    and stays 0.
    """
    values = np.arange(VALUES, dtype=np.float64)
    heard = counts.astype(np.float64)
    heard[:, 0] = 0
    total = np.maximum(heard.sum(axis=1), 1)
    mean = heard @ values / total
    spread = np.sqrt(np.maximum(heard @ values**2 / total - mean**2, 0))
    apart = (values - mean[:, None]) / np.maximum(spread, LEAST)[:, None]
    steps = np.rint((apart + REACH) * (254 / (2 * REACH))) + 1
    made: NDArray[np.uint8] = np.clip(steps, 1, 255).astype(np.uint8)
    made[:, 0] = 0
    return made


def applied(pixels: NDArray[np.uint8], tables: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``pixels`` (n, bands, frames, 1) by the table (n, bands, 256) of the speaker of each."""
    return np.take_along_axis(tables, pixels[..., 0].astype(np.intp), axis=2)[..., None]
