"""Learning rates as pure functions of the step, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

WARMUP = 0.15
FLOOR = 0.01


def one_cycle(step: int, steps: int) -> float:
    """The share of the peak rate at ``step`` of ``steps``: a linear rise over 15 %, then half a cosine down to 1 %.

    Follows Smith & Topin 2018, "Super-convergence", with the rates of Goyal et al. 2017 at the start.
    """
    if steps <= 1:
        return 1.0
    rise = max(1, round(WARMUP * steps))
    if step < rise:
        return FLOOR + (1 - FLOOR) * (step + 1) / rise
    done = (step - rise) / max(1, steps - rise)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def depth_groups(parameters: Sequence[nn.Parameter], groups: int) -> list[list[nn.Parameter]]:
    """``parameters``, in network order, as ``groups`` runs of about equal length, the input side first."""
    cuts = [round(i * len(parameters) / groups) for i in range(groups + 1)]
    return [list(parameters[a:b]) for a, b in pairwise(cuts) if b > a]


def discriminative(groups: int, decay: float) -> list[float]:
    """Rate factors, input side first: the last group learns at 1, each earlier one ``decay`` times slower.

    Howard & Ruder 2018, "Universal language model fine-tuning", section 3.2.
    """
    return [decay ** (groups - 1 - i) for i in range(groups)]
