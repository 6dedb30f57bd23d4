"""Looks of a made-up watch: quiet weeks, then one with alarms, as `emolab monitor` writes them down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from emolab.loop.operate.monitor.look_record import LookAudit, LookedWindow, LookEstimate, LookRecord, append
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.drift_look import DriftTest
from emolab.workspace import Workspace

#: The first window's first day, a Monday.
FIRST = datetime(2026, 9, 7, tzinfo=UTC)


def look(workspace: Workspace, model: str, week: int, *, drifted: bool = False, audited: bool = False) -> LookRecord:
    """The look at one week, counted from :data:`FIRST`; ``drifted``: the class mix and the accuracy raise alarms."""
    begin = FIRST + timedelta(weeks=week)
    name = f"week of {begin:%Y-%m-%d}"
    classes = workspace.config.project.classes
    rest = (0.6 if drifted else 0.8) / max(1, len(classes) - 1)
    accuracy = 0.71 if drifted else 0.83 - 0.002 * week
    return LookRecord(
        model=model,
        at=(begin + timedelta(days=7, hours=6)).isoformat(),
        window=LookedWindow(
            begin=begin.isoformat(), end=(begin + timedelta(days=7)).isoformat(), name=name, n=200 + week
        ),
        level=0.0006,
        tests=tuple(
            DriftTest(
                detector=detector, windows=windows, n=200 * windows, statistic=9.5 if hit else 1.1,
                p=0.00001 if hit else 0.2 * windows / 4, moved=("fear 18 % instead of 6 %",) if hit else (), alarm=hit,
            )
            for detector in ("class_mix", "confidence", "embedding_mmd")
            for windows in (1, 4)
            for hit in (drifted and detector == "class_mix",)
        ),
        left_out=("annotators_speed",),
        estimate=LookEstimate(accuracy=accuracy, low=accuracy - 0.04, high=accuracy + 0.03, n=200),
        audit=LookAudit(accuracy=0.7, low=0.61, high=0.78, n=100, difference=0.03, p=0.4) if audited else None,
        alarms=tuple(alarm.to_dict() for alarm in alarms(model, name)) if drifted else (),
        power="With 200 labelled faces a week a drop of 5 points is seen after 7 weeks with 80 %.",
        seen={
            "classes": {label: (0.4 if drifted else 0.2) if i == 0 else rest for i, label in enumerate(classes)},
            "confidence": 0.71,
            "quality": {"brightness": 0.5 - 0.01 * week},
        },
    )  # fmt: skip


def alarms(model: str, window: str) -> list[Alarm]:
    """What is told of a drifted week."""
    return [
        Alarm(
            key=f"drift:{model}:class_mix", model=model, title="What the model sees has changed: class mix",
            words="fear 18 % instead of 6 % (p = 1e-05).\nIt is the first look that shows it.\nType: emolab monitor",
            window=window,
        ),
        Alarm(
            key=f"accuracy:{model}", model=model, title="The model is probably right less often: 71 %, not 83 %",
            words="Estimated at 71 % (67 % to 74 %).\nType: emolab monitor --audit 100", window=window,
        ),
    ]  # fmt: skip


def add_looks(workspace: Workspace, model: str, weeks: int, *, drifted: int = 0) -> list[LookRecord]:
    """Write ``weeks`` looks, the last ``drifted`` of them with alarms."""
    found = [look(workspace, model, week, drifted=week >= weeks - drifted) for week in range(weeks)]
    for record in found:
        append(workspace, record)
    return found
