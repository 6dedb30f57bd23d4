"""How small a change would be seen how soon, in words: a monitor that could not see it proves nothing by silence."""

from __future__ import annotations

import math

from scipy.stats import norm

from emolab.monitoring.thresholds import level_of_look

#: How surely.
POWER = 0.8


def weeks_until_seen(
    *,
    per_week: int,
    drop: float,
    accuracy: float,
    judged: int,
    level: float = 0.05,
    looks: int = 52,
    power: float = POWER,
) -> int | None:
    """After how many weeks of ``per_week`` labelled samples a ``drop`` of accuracy is seen; ``None``: not in a year.

    ``accuracy`` was found on ``judged`` samples. Each week all labels since the drop are compared with that, one-sided,
    at the level that one look may spend (:mod:`emolab.monitoring.thresholds`).
    """
    after = max(1e-6, accuracy - drop)
    needed = float(norm.isf(level_of_look(level, looks)))
    for weeks in range(1, looks + 1):
        n = weeks * per_week
        pooled = (accuracy * judged + after * n) / (judged + n)
        before = math.sqrt(pooled * (1 - pooled) * (1 / judged + 1 / n))
        then = math.sqrt(accuracy * (1 - accuracy) / judged + after * (1 - after) / n)
        if norm.cdf((accuracy - after - needed * before) / then) >= power:
            return weeks
    return None


def words(*, per_week: int, drop: float, accuracy: float, judged: int, noun: str = "sample") -> str:
    """The same as a sentence.

    >>> words(per_week=200, drop=0.05, accuracy=0.85, judged=3000, noun="face")
    'With 200 labelled faces a week a drop of 5 points is seen after 7 weeks with 80 %.'
    """
    weeks = weeks_until_seen(per_week=per_week, drop=drop, accuracy=accuracy, judged=judged)
    some = f"With {per_week:,} labelled {noun}s a week a drop of {100 * drop:g} points is"
    if weeks is None:
        return f"{some} not seen within a year with {100 * POWER:g} %."
    after = "the first week" if weeks == 1 else f"{weeks} weeks"
    return f"{some} seen after {after} with {100 * POWER:g} %."
