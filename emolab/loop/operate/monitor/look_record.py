"""The looks at a served model: one line of JSON for each finished window, written once and never again.

Each look spends a part of the year's level (:mod:`emolab.monitoring.thresholds`), so a window is looked at once. What
an audit of it said later is a line of its own, which :func:`read` puts beside the look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from emolab.files import append_line, damaged, read_lines
from emolab.monitoring.drift_look import LEVEL, DriftTest

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.workspace import Workspace

#: The folder of all models' looks in a workspace's state, and the file of one model's.
FOLDER, FILE = "monitor", "looks.jsonl"
VERSION = 1
#: How the year's level is shared: what the model sees, its estimated accuracy, the audits.
DRIFT_LEVEL, ACCURACY_LEVEL, AUDIT_LEVEL = 0.6 * LEVEL, 0.2 * LEVEL, 0.2 * LEVEL


@dataclass(frozen=True, kw_only=True)
class LookedWindow:
    """The window that was looked at, from ``begin`` until before ``end`` (ISO, UTC), with ``n`` answers in it."""

    begin: str
    end: str
    name: str
    n: int


@dataclass(frozen=True, kw_only=True)
class LookEstimate:
    """The accuracy of the window's ``n`` answers, estimated without labels, ``low`` to ``high`` (95 %)."""

    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class LookAudit:
    """The accuracy that people found on ``n`` samples, ``low`` to ``high`` (95 %); how far the estimate of the same
    samples lies above it, and the chance ``p`` of so much where the estimate is right. ``None``: nothing was estimated.

    ``unlabelled`` more were asked about and got no label: skipped, called unusable, without consent by now.
    """

    accuracy: float
    low: float
    high: float
    n: int
    difference: float | None
    p: float | None
    unlabelled: int = 0


@dataclass(frozen=True, kw_only=True)
class LookRecord:
    """One look at ``model``, taken ``at`` (ISO, UTC).

    ``level`` is what this look may spend, ``left_out`` the detectors whose columns the reference lacks, ``alarms`` what
    was told to the team (``Alarm.to_dict()``), ``power`` in words how soon a drop would be seen, ``notes`` what a
    reader must know of the window. ``seen`` has what a page draws: ``classes`` (share of each), ``labels`` (how many
    a sample has on average; ``None`` where each has one), ``confidence`` (mean), ``quality`` (median by column).
    """

    model: str
    at: str
    window: LookedWindow
    level: float
    tests: tuple[DriftTest, ...] = ()
    left_out: tuple[str, ...] = ()
    estimate: LookEstimate | None = None
    audit: LookAudit | None = None
    alarms: tuple[Mapping[str, Any], ...] = ()
    power: str = ""
    notes: tuple[str, ...] = ()
    seen: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "version": VERSION,
            **vars(self),
            "window": vars(self.window),
            "tests": [test.to_dict() for test in self.tests],
            "estimate": self.estimate and vars(self.estimate),
            "audit": self.audit and vars(self.audit),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> LookRecord:
        """A look from what :meth:`to_dict` gave. Raises ``KeyError``, ``TypeError`` for anything else."""
        if told["version"] != VERSION:
            raise KeyError("version")
        return cls(
            model=told["model"],
            at=told["at"],
            window=LookedWindow(**told["window"]),
            level=told["level"],
            tests=tuple(DriftTest(**{**test, "moved": tuple(test["moved"])}) for test in told["tests"]),
            left_out=tuple(told["left_out"]),
            estimate=LookEstimate(**told["estimate"]) if told["estimate"] else None,
            audit=LookAudit(**told["audit"]) if told["audit"] else None,
            alarms=tuple(told["alarms"]),
            power=told.get("power", ""),
            notes=tuple(told.get("notes", ())),
            seen=told.get("seen", {}),
        )


def home(workspace: Workspace, model: str) -> Path:
    """The folder of the looks at the model with the whole id ``model``; it need not exist."""
    return workspace.state / FOLDER / model


def append(workspace: Workspace, record: LookRecord) -> None:
    """Add a look; when this returns it is on the disk. The caller holds the workspace's lock "monitor"."""
    _write(home(workspace, record.model) / FILE, record.to_dict())


def append_audit(
    workspace: Workspace, model: str, begin: str, audit: LookAudit, *, at: str, alarms: tuple[Mapping[str, Any], ...]
) -> None:
    """Add what the audit of the window that began at ``begin`` said, with its ``alarms``."""
    told = {"version": VERSION, "audited": begin, "at": at, "audit": vars(audit), "alarms": list(alarms)}
    _write(home(workspace, model) / FILE, told)


def read(workspace: Workspace, model: str) -> list[LookRecord]:
    """All looks at a model, oldest window first, with what audits said since; none where there was none.

    A last line that was cut off counts as not written. Raises :class:`DataError` for any other damage.
    """
    file = home(workspace, model) / FILE
    if not file.exists():
        return []
    hint = f"Move it away: mv {file} {file}.old. Windows that the log still has are then looked at again."
    found: dict[str, LookRecord] = {}
    for number, told in read_lines(file, hint=hint):
        try:
            if "audited" in told:
                look = found[told["audited"]]
                alarms = (*look.alarms, *told["alarms"])
                found[told["audited"]] = replace(look, audit=LookAudit(**told["audit"]), alarms=alarms)
            else:
                found[told["window"]["begin"]] = LookRecord.from_dict(told)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(file, number, hint) from error
    return sorted(found.values(), key=lambda look: look.window.begin)


def latest(workspace: Workspace, model: str) -> LookRecord | None:
    """The look at the newest window of a model; ``None`` where there was none."""
    return next(reversed(read(workspace, model)), None)


def alarms_that_hold(looks: Sequence[LookRecord]) -> list[Mapping[str, Any]]:
    """Those of the newest look, and that of the newest audit; ``looks`` are oldest first."""
    audited = next((look for look in reversed(looks) if look.audit is not None), None)
    own = [alarm for alarm in looks[-1].alarms if not str(alarm["key"]).startswith("audit:")] if looks else []
    return own + [alarm for alarm in (audited.alarms if audited else ()) if str(alarm["key"]).startswith("audit:")]


def _write(file: Path, told: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    append_line(file, json.dumps(told))
