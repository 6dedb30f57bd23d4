"""Whether an exported model still says what the trained one says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.preparing import Preprocessing
from emolab.stats import metrics

#: Per precision: the largest share of images whose best class may differ, and the largest change of a probability.
TOLERANCES = {"fp32": (0.001, 0.001), "bf16": (0.01, 0.15), "int8": (0.05, 0.5)}
#: Points of macro-F1 that 8-bit integers may cost.
LARGEST_FALL = 0.5


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Two sets of probabilities of the same ``n`` images ("valid" samples or "synthetic" ones) side by side."""

    n: int
    images: str
    agreement: float
    largest_difference: float
    macro_f1_before: float | None = None
    macro_f1_after: float | None = None

    @property
    def fall(self) -> float | None:
        """How many points of macro-F1 (0..100) were lost; ``None`` without labels."""
        if self.macro_f1_before is None or self.macro_f1_after is None:
            return None
        return 100 * (self.macro_f1_before - self.macro_f1_after)

    def failure(self, precision: str) -> str | None:
        """What is beyond the tolerances of ``precision``, in words; ``None`` when nothing is.

        One image may always differ: a near-tie can fall to either side.
        """
        share, difference = TOLERANCES[precision]
        flips = round((1 - self.agreement) * self.n)
        if flips > max(1, math.floor(share * self.n)):
            return (
                f"the best class differs on {flips:,} of {self.n:,} {self.images} images "
                f"({self.agreement:.2%} agree; {precision} must reach {1 - share:.1%})"
            )
        if not self.largest_difference <= difference:
            return (
                f"a probability differs by {self.largest_difference:.4f} on {self.images} images "
                f"({precision} may differ by {difference})"
            )
        return None


def compare(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    *,
    images: str,
    truth: NDArray[np.int64] | None = None,
    supported: NDArray[np.bool_] | None = None,
    classes: tuple[str, ...] = (),
) -> Parity:
    """:class:`Parity` of the probabilities ``before`` and ``after`` (n, k), and macro-F1 of both against ``truth``.

    ``truth`` (n,) is -1 where unknown; ``supported`` (n, k) says which classes can occur.
    """
    difference = float(np.abs(before - after).max(initial=0.0)) if np.isfinite(after).all() else math.inf
    scores: list[float] = []
    if truth is not None and (truth >= 0).any():
        known = truth >= 0
        for probs in (before, after):
            able = probs if supported is None else np.where(supported, probs, 0.0)
            rows: dict[str, Any] = metrics.summary(able[known], truth[known], classes)
            scores.append(float(rows["macro_f1"]))
    return Parity(
        n=len(before),
        images=images,
        agreement=float((before.argmax(axis=1) == after.argmax(axis=1)).mean()),
        largest_difference=difference,
        macro_f1_before=scores[0] if scores else None,
        macro_f1_after=scores[1] if scores else None,
    )


def synthetic(n: int, wanted: Preprocessing) -> NDArray[np.uint8]:
    """n made-up samples (n, height, width, c), always the same: noise at three scales, from coarse to fine."""
    rng = np.random.default_rng(48)
    height, width, channels = wanted.shape
    out = np.zeros((n, *wanted.shape))
    for cells in (4, 8, height):
        grid = rng.normal(size=(n, min(cells, height), min(cells, height), channels))
        rows, columns = (np.arange(side) * grid.shape[1] // side for side in (height, width))
        out += grid[:, rows][:, :, columns]
    return np.clip(128 + 40 * out, 0, 255).astype(np.uint8)
