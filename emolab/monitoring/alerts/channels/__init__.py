"""Ways to tell people, one file each.

A channel is a function ``(settings, folder) -> tell``, or ``None`` where the settings do not ask for it; ``folder`` is
the workspace's. ``tell(alarms, project)`` hands over all ``alarms`` as one message and returns when they are handed
over, or raises :class:`EmolabError` without a secret in it. What it returns is worth knowing all the same, mostly "".
The contract test runs over whatever is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emolab.monitoring.alerts.alarm import Alarm
from emolab.safe_text import visible

#: Hands alarms over: ``(alarms, project)``, where ``project`` is the name of the workspace for people.
Tell = Callable[[Sequence[Alarm], str], str]


def subject(alarms: Sequence[Alarm], project: str) -> str:
    """One line for all ``alarms``."""
    project, first = visible(project), visible(alarms[0].title)
    return f"[{project}] {first}" if len(alarms) == 1 else f"[{project}] {len(alarms)} alarms: {first} ..."


def body(alarms: Sequence[Alarm]) -> str:
    """What is to be said of ``alarms``, one paragraph each."""
    told = (f"{alarm.title}\n{alarm.words}\nModel: {alarm.model[:12]}. Window: {alarm.window}." for alarm in alarms)
    return visible("\n\n".join(told), keep="\n")
