"""Drift as a reason for a cycle: an alarm of the newest look at the champion that no cycle has answered yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.operate.cycle.cycle_journal import CycleJournal
    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.workspace import Workspace


def unanswered_alarm(workspace: Workspace, journals: Sequence[CycleJournal]) -> dict[str, Any] | None:
    """The alarms that no cycle of ``journals`` has answered since they began, ready for JSON; ``None``: there is none.

    An alarm that goes on from window to window is one; when it was quiet between, it is another. ``words`` says it,
    ``model``, ``begin`` (of the window) and ``keys`` tell it apart. Raises :class:`DataError` for damaged looks.
    """
    from emolab.loop.model.models import champion

    model = champion(workspace) if workspace.config.cycle.drift and (workspace.state / "monitor").is_dir() else None
    if model is None:
        return None
    from emolab.loop.operate.monitor import look_record
    from emolab.loop.operate.monitor.run_monitor import alarms_now

    looks = look_record.read(workspace, model.id)
    told = [journal.begun.get("drift") or {} for journal in journals]
    answered = [one for one in told if one.get("model") == model.id]
    news = [
        alarm
        for alarm in alarms_now(looks)
        if not any(alarm.key in one["keys"] and one["begin"] >= _since(alarm.key, looks) for one in answered)
    ]
    if not news:
        return None
    window = looks[-1].window
    more = f" and {many(len(news) - 1, 'alarm')} more" if len(news) > 1 else ""
    return {
        "model": model.id,
        "begin": window.begin,
        "keys": [alarm.key for alarm in news],
        "words": f"{news[0].title} ({news[0].window}){more}",
    }


def _since(key: str, looks: Sequence[LookRecord]) -> str:
    """The beginning of the first window of the newest stretch in which the alarm ``key`` holds."""
    holding = [any(alarm["key"] == key for alarm in look.alarms) for look in looks]
    last = max(i for i, held in enumerate(holding) if held)
    first = last
    while first and holding[first - 1]:
        first -= 1
    return looks[first].window.begin
