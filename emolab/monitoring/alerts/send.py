"""Tell people of alarms by every channel of the settings: once each, however often one looks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.config import AlertsConfig
from emolab.errors import EmolabError, ServerError
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.alert_record import AlertRecord
from emolab.plugins import ALERTS

if TYPE_CHECKING:
    from emolab.monitoring.alerts.channels import Tell

#: Seconds that one channel may take with all its attempts: a server that sends a byte now and then would hold up the
#: others for hours.
LONGEST = 120.0
#: Seconds to wait for another process that is telling people: longer than every channel takes.
WAIT = 600.0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of the alarm ``key`` at ``channel``: ``state`` is sent, repeated (told lately, so not again) or
    failed (the next call of :func:`send` tries again); ``why`` says it in words, without a secret."""

    channel: str
    key: str
    state: str
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def send(
    alarms: Sequence[Alarm],
    *,
    model: str,
    settings: AlertsConfig,
    folder: Path,
    state: Path,
    now: datetime,
    project: str,
) -> list[Delivery]:
    """Tell of the ``alarms`` that the newest look at ``model`` raises; empty: it is quiet, and what went on has ended.

    ``folder`` is the workspace's, which a relative ``alerts.file`` starts from. The file ``state`` holds who was told
    of what; a lock beside it keeps two calls apart. ``now`` has a time zone. One :class:`Delivery` for each channel and
    alarm, also for alarms of earlier looks that a channel failed to tell. Without any channel nothing is written.

    A process that is killed between telling and writing that down tells again: rather twice than never.
    """
    from filelock import FileLock, Timeout

    channels = connected(settings, folder)
    if not channels:
        return []
    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(state.with_suffix(".lock"), timeout=WAIT, mode=0o600):
            record = AlertRecord(state)
            record.observe(alarms, model, now, channels)
            found = [
                delivery
                for name, channel in channels.items()
                for delivery in _by(
                    name, channel, alarms, record=record, now=now, repeat_days=settings.repeat_days, project=project
                )
            ]
            record.keep()
    except Timeout:
        raise EmolabError(
            f"Another process has been telling people for {WAIT:.0f} seconds.", hint="Run this again later."
        ) from None
    if record.damaged is not None:
        note = f"The record of who was told is damaged and lies in {record.damaged}: everything counts as news."
        found = [replace(row, why=f"{row.why} {note}".strip()) for row in found]
    return found


def send_test(*, settings: AlertsConfig, folder: Path, now: datetime, project: str) -> list[Delivery]:
    """Tell of a made-up alarm by every channel, however lately that was done: one :class:`Delivery` each."""
    alarm = Alarm(
        key="test",
        model="none",
        title="This is a test: alarms of emolab reach you",
        words="Nobody has to do anything. The next message of this kind is about a model.",
        window=f"{now:%Y-%m-%d %H:%M %Z}",
    )
    found = []
    for name, channel in connected(settings, folder).items():
        state, why = _handed_over(channel, [alarm], project)
        found.append(Delivery(channel=name, key=alarm.key, state=state, why=why))
    return found


def connected(settings: AlertsConfig, folder: Path) -> dict[str, Tell | EmolabError]:
    """Each channel that the settings ask for, or why it cannot be used."""
    found: dict[str, Tell | EmolabError] = {}
    for name in ALERTS.names():
        try:
            channel: Tell | None = ALERTS.load(name)(settings, folder)
        except EmolabError as error:
            found[name] = error
        except Exception as error:
            found[name] = _broken(error)
        else:
            if channel is not None:
                found[name] = channel
    return found


def _by(
    name: str,
    channel: Tell | EmolabError,
    alarms: Sequence[Alarm],
    *,
    record: AlertRecord,
    now: datetime,
    repeat_days: float,
    project: str,
) -> list[Delivery]:
    """What becomes of every alarm at one channel."""
    due = record.due(alarms, name, now, repeat_days)
    keys = {alarm.key for alarm in due}
    found = [
        Delivery(channel=name, key=alarm.key, state="repeated", why=record.last(alarm.key, name))
        for alarm in alarms
        if alarm.key not in keys
    ]
    if not due:
        return found
    state, why = _handed_over(channel, due, project)
    if state == "sent":
        record.told(due, name, now)
    else:
        record.failed(due, name)
    return found + [Delivery(channel=name, key=alarm.key, state=state, why=why) for alarm in due]


def _handed_over(channel: Tell | EmolabError, alarms: Sequence[Alarm], project: str) -> tuple[str, str]:
    """Hand ``alarms`` over: whether they were sent or it failed, and what there is to say about it."""
    if isinstance(channel, EmolabError):
        return "failed", str(channel)
    try:
        return "sent", _in_time(lambda: channel(alarms, project))
    except EmolabError as error:
        return "failed", str(error)
    except Exception as error:
        return "failed", str(_broken(error))


def _broken(error: Exception) -> EmolabError:
    """What is said of a channel with a fault: its kind alone, as its words may hold a secret. The others go on."""
    return EmolabError(f"The channel has a fault ({type(error).__name__}).")


def _in_time(tell: Callable[[], str]) -> str:
    """What ``tell`` returns or raises; :class:`ServerError` where it takes too long.

    It is not stopped: what is handed over all the same is told twice, which is better than never.
    """
    done: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put(tell())
        except Exception as error:
            done.put(error)

    threading.Thread(target=work, name="alert channel", daemon=True).start()
    try:
        found = done.get(timeout=LONGEST)
    except queue.Empty:
        raise ServerError(f"It was not done within {LONGEST:.0f} seconds.") from None
    if isinstance(found, Exception):
        raise found
    return found
