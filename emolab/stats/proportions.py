"""Intervals of shares, and of the difference of two shares, that hold for few answers and for shares near 0 and 1."""

from __future__ import annotations

import math
from typing import NamedTuple

#: Standard normal quantile of a two-sided 95 % interval.
Z95 = 1.959963984540054


class Interval(NamedTuple):
    """A lower and an upper end."""

    low: float
    high: float


def wilson(share: float, n: float, *, z: float = Z95) -> Interval:
    """The score interval of a share that was seen in ``n`` answers (Wilson 1927).

    ``n`` may be an effective number, which is not whole. Without an answer the interval is 0 to 1.

    >>> tuple(round(end, 3) for end in wilson(0.9, 10))
    (0.596, 0.982)
    """
    if n <= 0:
        return Interval(0.0, 1.0)
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def difference(first: float, n_first: float, second: float, n_second: float, *, z: float = Z95) -> Interval:
    """The interval of ``first - second``, two shares seen in independent answers (Newcombe 1998, method 10).

    It joins the score intervals of both, so it stays within -1 to 1 and does not shrink to a point where a share is 0
    or 1. The example is Newcombe's own (his table II, 56 of 70 beside 48 of 80).

    >>> tuple(round(end, 4) for end in difference(56 / 70, 70, 48 / 80, 80))
    (0.0524, 0.3339)
    """
    one, two = wilson(first, n_first, z=z), wilson(second, n_second, z=z)
    between = first - second
    return Interval(
        between - math.hypot(first - one.low, two.high - second),
        between + math.hypot(one.high - first, second - two.low),
    )
