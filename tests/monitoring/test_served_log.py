"""The log of a served model: rows come back, a torn one does not count, and it keeps to its bounds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.monitoring.served_log import LogShape, ServedLog, logged, prune, read

SHAPE = LogShape(model="m1", classes=("happy", "sad"), width=3, quality=("brightness",))
MONDAY = datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC).timestamp()


def rows(n: int, value: float = 0.5) -> dict[str, Any]:
    return {
        "probs": np.full((n, 2), value, np.float32),
        "embeddings": np.full((n, 3), value, np.float32),
        "quality": np.full((n, 1), value, np.float32),
    }


def opened(folder: Path, **more: Any) -> ServedLog:
    return ServedLog(folder, SHAPE, **{"days": 30, "most": 1 << 30, **more})


def test_rows_come_back_by_time_over_days_and_servers(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.append(rows(2, 0.25), MONDAY)
    other.append(rows(1, 0.5), MONDAY + 5)
    one.append(rows(1, 0.75), MONDAY + 20)
    found = read(tmp_path / "m1")
    assert found.shape == SHAPE
    assert found.probs[:, 0].tolist() == [0.25, 0.25, 0.5, 0.75]
    assert found.embeddings.shape == (4, 3)
    assert found.quality[:, 0].tolist() == [0.25, 0.25, 0.5, 0.75]
    assert read(tmp_path / "m1", since=MONDAY + 1, until=MONDAY + 20).at.tolist() == [MONDAY + 5]
    assert logged(tmp_path) == ["m1"]
    assert sorted(path.name for path in (tmp_path / "m1").iterdir()) == ["2026-11-30", "2026-12-01", "about.json"]


def test_a_log_that_an_earlier_emolab_began_goes_on_and_one_of_other_thresholds_does_not(tmp_path: Path) -> None:
    (tmp_path / "m1").mkdir()
    about = {"version": 1, "model": "m1", "classes": ["happy", "sad"], "width": 3, "quality": ["brightness"]}
    (tmp_path / "m1" / "about.json").write_text(json.dumps(about))
    log = opened(tmp_path)
    log.append(rows(2), MONDAY)
    log.close()
    assert read(tmp_path / "m1").shape == SHAPE
    several = replace(SHAPE, thresholds=(0.1, 1 / 3))
    with pytest.raises(DataError, match="has other columns than this model gives"):
        ServedLog(tmp_path, several, days=30, most=1 << 30)
    other = replace(several, model="m2")
    for value in (0.25, 0.75):
        log = ServedLog(tmp_path, other, days=30, most=1 << 30)
        log.append(rows(1, value), MONDAY)
        log.close()
    assert read(tmp_path / "m2").shape == other


@pytest.mark.parametrize("column", ["at", "probs", "embeddings", "quality"])
def test_a_torn_last_row_does_not_count(tmp_path: Path, column: str) -> None:
    log = opened(tmp_path)
    log.append(rows(3), MONDAY)
    log.close()
    (file,) = (tmp_path / "m1" / "2026-11-30").glob(f"*.{column}.bin")
    file.write_bytes(file.read_bytes()[:-1])
    assert len(read(tmp_path / "m1").at) == 2
    file.unlink()
    assert len(read(tmp_path / "m1").at) == 0
    opened(tmp_path).append(rows(1, 0.75), MONDAY)
    assert read(tmp_path / "m1").probs[:, 0].tolist() == [0.75]


def test_old_days_and_those_above_the_bound_go_but_never_today(tmp_path: Path) -> None:
    log = opened(tmp_path, days=5)
    for day in range(8):
        log.append(rows(100), MONDAY + day * 86_400)
    kept = sorted(path.name for path in (tmp_path / "m1").glob("2*"))
    assert kept == [f"2026-12-0{day}" for day in (3, 4, 5, 6, 7)]
    row = 8 + 2 * 4 + 3 * 2 + 4
    gone = prune(tmp_path, days=5, most=250 * row, keep="2026-12-07")
    assert gone == ["m1/2026-12-03", "m1/2026-12-04", "m1/2026-12-05"]
    assert prune(tmp_path, days=5, most=0, keep="2026-12-07") == ["m1/2026-12-06"]
    assert len(read(tmp_path / "m1").at) == 100


def held(home: Path) -> list[int]:
    """The days of the log, counted from the first Monday."""
    first = datetime.fromtimestamp(MONDAY, UTC).date()
    return sorted((date.fromisoformat(path.name) - first).days for path in home.glob("2*"))


def test_a_clock_that_was_far_ahead_for_a_while_deletes_nothing(tmp_path: Path) -> None:
    log = opened(tmp_path, days=5)
    for day in (0, 1, 2, 3, 2000, 4):  # set right by the network some minutes after the machine has started
        log.append(rows(10), MONDAY + day * 86_400)
    assert held(tmp_path / "m1") == [0, 1, 2, 3, 4, 2000]
    for day in (5, 6):
        log.append(rows(10), MONDAY + day * 86_400)
    assert held(tmp_path / "m1") == [2, 3, 4, 5, 6, 2000]


def test_after_a_long_pause_the_second_day_deletes_what_is_old(tmp_path: Path) -> None:
    log = opened(tmp_path, days=5)
    for day in (0, 1, 400):
        log.append(rows(10), MONDAY + day * 86_400)
    assert held(tmp_path / "m1") == [0, 1, 400]
    log.append(rows(10), MONDAY + 401 * 86_400)
    assert held(tmp_path / "m1") == [400, 401]


@pytest.mark.parametrize(("days", "stay"), [(1, 2), (5, 2), (7, 1), (8, 2), (14, 2)])
def test_what_is_asked_one_day_a_week_loses_old_days_too(tmp_path: Path, days: int, stay: int) -> None:
    log = opened(tmp_path, days=days)
    for week in range(5):
        log.append(rows(10), MONDAY + week * 7 * 86_400)
        assert len(held(tmp_path / "m1")) == min(week + 1, stay)


def test_two_servers_may_prune_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path, days=50)
    for day in range(4):
        log.append(rows(10), MONDAY + day * 86_400)
    looked = Path.iterdir

    def gone(self: Path) -> Iterator[Path]:
        if self.name == "2026-12-01":
            shutil.rmtree(self, ignore_errors=True)  # by the other one, between our two looks
        return looked(self)

    monkeypatch.setattr(Path, "iterdir", gone)
    assert prune(tmp_path, days=1, most=1 << 30, keep="2026-12-03") == [
        "m1/2026-11-30",
        "m1/2026-12-01",
        "m1/2026-12-02",
    ]
    log.append(rows(5), MONDAY + 3 * 86_400)
    assert len(read(tmp_path / "m1").at) == 15


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    opened(tmp_path).append(rows(1), MONDAY)
    files = list((tmp_path / "m1").rglob("*.bin"))
    assert len(files) == 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_other_columns_are_refused_and_a_damaged_description_is_said(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(DataError, match="has other columns than this model gives"):
        ServedLog(tmp_path, replace(SHAPE, width=4), days=1, most=1)
    with pytest.raises(DataError, match="embeddings of the log has 3 numbers a row, not 2"):
        opened(tmp_path).append(rows(1) | {"embeddings": np.zeros((1, 2))}, MONDAY)
    (tmp_path / "m1" / "about.json").write_text("{")
    with pytest.raises(DataError, match="does not say what the log holds"):
        read(tmp_path / "m1")


def test_columns_that_a_model_does_not_have_are_empty(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, replace(SHAPE, width=0, quality=()), days=9, most=1 << 20)
    log.append(rows(2), MONDAY)
    found = read(tmp_path / "m1")
    assert (found.embeddings.shape, found.quality.shape) == ((2, 0), (2, 0))
