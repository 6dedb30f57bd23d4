"""The looks at a model on disk: written once, whole after a kill, and what an audit said later beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.errors import DataError
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.look_record import LookAudit, LookedWindow, LookEstimate, LookRecord
from emolab.monitoring.drift_look import DriftTest
from emolab.workspace import Workspace

MODEL = "a" * 64
AUDIT = LookAudit(accuracy=0.7, low=0.6, high=0.8, n=50, difference=0.1, p=0.01)


def look(day: int, n: int = 200) -> LookRecord:
    begin, end = f"2026-03-{day:02d}T00:00:00+00:00", f"2026-03-{day + 7:02d}T00:00:00+00:00"
    test = DriftTest(
        detector="class_mix",
        windows=1,
        n=n,
        statistic=3.5,
        p=0.0001,
        moved=('a "brace" {happy} 10.0% -> 20.0%',),
        alarm=True,
    )
    return LookRecord(
        model=MODEL,
        at=end,
        window=LookedWindow(begin=begin, end=end, name=f"2026-03-{day:02d}", n=n),
        level=0.00096,
        tests=(test,),
        left_out=("annotators_speed",),
        estimate=LookEstimate(accuracy=0.8, low=0.75, high=0.85, n=n),
        alarms=({"key": f"drift:{MODEL}:class_mix"},),
        power="With 200 labelled faces a week a drop of 5 points is seen after 7 weeks with 80 %.",
        seen={"classes": {"happy": 0.2}},
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "w", classes=("happy", "sad"))


def test_what_was_looked_at_comes_back_whole_and_in_order_of_time(workspace: Workspace) -> None:
    assert look_record.read(workspace, MODEL) == []
    assert look_record.latest(workspace, MODEL) is None
    look_record.append(workspace, look(9))
    look_record.append(workspace, look(2))
    assert look_record.read(workspace, MODEL) == [look(2), look(9)]
    assert look_record.latest(workspace, MODEL) == look(9)


def test_what_an_audit_says_later_stands_beside_its_look(workspace: Workspace) -> None:
    look_record.append(workspace, look(2))
    look_record.append(workspace, look(9))
    told = ({"key": f"audit:{MODEL}"},)
    look_record.append_audit(workspace, MODEL, look(2).window.begin, AUDIT, at="2026-03-20T00:00:00+00:00", alarms=told)
    first, second = look_record.read(workspace, MODEL)
    assert first.audit == AUDIT
    assert [alarm["key"] for alarm in first.alarms] == [f"drift:{MODEL}:class_mix", f"audit:{MODEL}"]
    assert second.audit is None


def test_a_line_that_a_kill_cut_off_counts_as_not_written_wherever(workspace: Workspace) -> None:
    look_record.append(workspace, look(2))
    file = look_record.home(workspace, MODEL) / look_record.FILE
    whole = file.read_bytes()
    for cut in range(1, len(whole) - 1):
        file.write_bytes(whole + whole[:cut].replace(b"2026-03-02", b"2026-03-03"))
        assert look_record.read(workspace, MODEL) == [look(2)], cut
        if cut % 100 == 1:
            look_record.append(workspace, look(9))
            assert look_record.read(workspace, MODEL) == [look(2), look(9)]


@pytest.mark.parametrize("line", [b'{"version": 2, "model": "x"}', b'{"version": 1}', b"[1]", b'{"a": }'])
def test_a_damaged_line_is_refused_by_its_number(workspace: Workspace, line: bytes) -> None:
    look_record.append(workspace, look(2))
    file = look_record.home(workspace, MODEL) / look_record.FILE
    file.write_bytes(file.read_bytes() + line + b"\n")
    with pytest.raises(DataError, match=r"Line 2 of .*looks\.jsonl is damaged"):
        look_record.read(workspace, MODEL)
