"""Stretches of time in which what a model saw is looked at together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from emolab.errors import ConfigError

#: Days of a window by its word, and looks in a year at windows of that length.
DAYS = {"day": 1, "week": 7}
LOOKS = {"day": 365, "week": 52}


@dataclass(frozen=True, kw_only=True)
class Window:
    """What was seen from ``begin`` until before ``end``."""

    begin: datetime
    end: datetime
    rows: NDArray[np.int64]

    @property
    def name(self) -> str:
        """Its first and last day."""
        last = self.end - timedelta(days=1)
        return self.begin.date().isoformat() + ("" if last <= self.begin else f" to {last.date().isoformat()}")


def windows(at: NDArray[np.float64], every: str = "week") -> list[Window]:
    """The windows that hold ``at`` (n,), seconds since 1970 in UTC, in order of time; empty ones between them too.

    Days begin at midnight, weeks on Monday, both in UTC. Raises :class:`ConfigError` for another word.
    """
    if every not in DAYS:
        raise ConfigError(f'There are no windows of a "{every}".', hint=f"Known: {', '.join(DAYS)}.")
    if not len(at):
        return []
    first = datetime.fromtimestamp(float(at.min()), UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if every == "week":
        first -= timedelta(days=first.weekday())
    length = timedelta(days=DAYS[every])
    places = ((at - first.timestamp()) // length.total_seconds()).astype(np.int64)
    order = np.argsort(at, kind="stable")
    ends = np.searchsorted(places[order], np.arange(int(places.max()) + 2))
    return [
        Window(begin=first + i * length, end=first + (i + 1) * length, rows=order[ends[i] : ends[i + 1]])
        for i in range(len(ends) - 1)
    ]
