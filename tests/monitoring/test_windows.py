"""Windows of time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from emolab.errors import ConfigError
from emolab.monitoring.windows import windows


def at(*days: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in days])


def test_weeks_begin_on_monday_and_empty_ones_stay() -> None:
    found = windows(at("2026-11-02T00:00", "2026-11-08T23:59:59", "2026-11-17", "2026-11-09T00:00"))
    assert [window.name for window in found] == [
        "2026-11-02 to 2026-11-08",
        "2026-11-09 to 2026-11-15",
        "2026-11-16 to 2026-11-22",
    ]
    assert [window.rows.tolist() for window in found] == [[0, 1], [3], [2]]
    assert [len(window.rows) for window in windows(at("2026-11-02", "2026-11-04"), "day")] == [1, 0, 1]


def test_days_are_named_by_themselves_and_nothing_gives_none() -> None:
    assert windows(at("2026-11-02T12:00"), "day")[0].name == "2026-11-02"
    assert windows(np.empty(0)) == []
    with pytest.raises(ConfigError, match='no windows of a "month"'):
        windows(at("2026-11-02"), "month")
