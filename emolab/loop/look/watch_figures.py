"""What the newest look says, as figures for a server's ``/metrics``: read again only when the files have changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from emolab.errors import EmolabError
from emolab.loop.operate.alerting import record_file
from emolab.serving.service import WatchFigures

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.workspace import Workspace

#: Kinds of alarms, which begin their keys.
KINDS = ("drift", "accuracy", "audit")
_Stamp = tuple[int, int, int] | None


class NewestFigures:
    """Figures of any model of ``workspace``. Never raises for damaged files: the figures say so.

    What reads looks is loaded when there is one: a server starts without it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._looks: tuple[str, _Stamp, WatchFigures] | None = None
        self._owed: tuple[_Stamp, Mapping[str, int]] = (None, {})

    def __call__(self, model: str) -> WatchFigures:
        """What is known of ``model`` (id)."""
        from emolab.monitoring.alerts.alert_record import owed

        record = record_file(self._workspace)
        stamp, told = self._changed(model), _stamp(record)
        with self._lock:
            if self._looks is None or self._looks[:2] != (model, stamp):
                self._looks = (model, stamp, self._read(model))
            if told != self._owed[0]:
                self._owed = (told, owed(record))
            return replace(self._looks[2], owed=self._owed[1])

    def _changed(self, model: str) -> _Stamp:
        """What changes when a look is added; ``None`` while there is none."""
        if not (record_file(self._workspace).parent / model).is_dir():
            return None
        from emolab.loop.operate.monitor import look_record

        return _stamp(look_record.home(self._workspace, model) / look_record.FILE)

    def _read(self, model: str) -> WatchFigures:
        if self._changed(model) is None:
            return WatchFigures()
        from emolab.loop.operate.monitor import look_record

        try:
            looks = look_record.read(self._workspace, model)
        except (EmolabError, OSError):
            return WatchFigures(unreadable=True)
        return figures(looks) if looks else WatchFigures()


def figures(looks: list[LookRecord]) -> WatchFigures:
    """The figures of ``looks``, oldest first, of which there is one or more."""
    from emolab.loop.operate.monitor import look_record

    newest = looks[-1]
    audited = next((look for look in reversed(looks) if look.audit is not None), None)
    keys = [str(alarm["key"]) for alarm in look_record.alarms_that_hold(looks)]
    tests = {name: [test for test in newest.tests if test.detector == name] for name in _detectors(newest)}
    estimate, audit = newest.estimate, audited.audit if audited is not None else None
    classes = newest.seen.get("classes", {})
    return WatchFigures(
        looked=datetime.fromisoformat(newest.at).timestamp(),
        answers=newest.window.n,
        level=newest.level,
        alarms={kind: sum(key.partition(":")[0] == kind for key in keys) for kind in KINDS},
        drift={name: (min(t.p for t in found), any(t.alarm for t in found)) for name, found in tests.items()},
        classes={str(name): float(share) for name, share in classes.items()},
        estimate=None if estimate is None else (estimate.accuracy, estimate.low, estimate.high),
        audit=None if audit is None else (audit.accuracy, audit.low, audit.high),
    )


def _detectors(look: LookRecord) -> list[str]:
    return list(dict.fromkeys(test.detector for test in look.tests))


def _stamp(path: Path) -> _Stamp:
    """What changes when the file does; ``None`` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
