"""When a report raises an alarm: a level for all of its tests and for a whole year of reports.

The level is spent in equal parts on the looks of a year (alpha spending, Lan and DeMets 1983), and within a report it
holds for all tests together (Holm 1979). Neither needs tests or looks to be independent, and they are not: all look at
the same reference, and windows overlap. Nothing of earlier looks has to be remembered, so any 52 weeks in a row hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from emolab.errors import ConfigError


def level_of_look(level: float, looks: int) -> float:
    """The level that one look may spend, of ``looks`` in a year.

    >>> level_of_look(0.05, 50)
    0.001
    """
    if not 0 < level < 1 or looks < 1:
        raise ConfigError(f"A level of {level} over {looks} looks is none.", hint="Give a level between 0 and 1.")
    return level / looks


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which of several tests raise an alarm, such that the chance of a single false one is at most ``level``.

    >>> holm([0.01, 0.04, 0.03], 0.05)
    [True, False, False]
    """
    m = len(p_values)
    raised = [False] * m
    for place, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        if p_values[i] > level / (m - place):
            break
        raised[i] = True
    return raised
