"""Which alarms go on, who was told of them and when, and what is still owed to whom: one small file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from emolab.errors import DataError
from emolab.files import write_bytes
from emolab.monitoring.alerts.alarm import Alarm

#: What was told later than this from now was told by a clock that was wrong: it says nothing.
_CLOCKS_DIFFER = timedelta(days=1)


@dataclass(kw_only=True)
class Ongoing:
    """An alarm by its key: ``sent`` is channel -> when it was told there, ``owed`` channel -> what could not be told.

    ``ended`` is when it had gone quiet; ``None`` while it goes on.
    """

    model: str
    since: datetime
    ended: datetime | None = None
    sent: dict[str, datetime] = field(default_factory=dict)
    owed: dict[str, Alarm] = field(default_factory=dict)


class AlertRecord:
    """The record in the file at ``path``. Call its methods while nobody else has it: ``send`` holds a lock.

    ``damaged`` is where a file that could not be read was put; then everything counts as news.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: Path | None = None
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            self.keys = {key: _parsed(row) for key, row in plain["keys"].items()}
        except FileNotFoundError:
            self.keys = {}
        except (ValueError, KeyError, TypeError, AttributeError, DataError):
            self.damaged = path.replace(path.with_name(f"{path.name}.damaged"))
            self.keys = {}

    def observe(self, alarms: Sequence[Alarm], model: str, now: datetime, channels: Collection[str]) -> None:
        """Take in the ``alarms`` that ``model`` raises now: those that it does not raise any more have ended.

        A channel that is not among ``channels`` any more owes nothing.
        """
        for row in self.keys.values():
            row.owed = {channel: alarm for channel, alarm in row.owed.items() if channel in channels}
        raised = {alarm.key: alarm for alarm in alarms}
        for key, row in self.keys.items():
            if row.model == model and key not in raised and row.ended is None:
                row.ended = now
        for key in raised:
            if key not in self.keys or self.keys[key].ended is not None:
                owed = self.keys[key].owed if key in self.keys else {}
                self.keys[key] = Ongoing(model=model, since=now, owed=owed)

    def due(self, alarms: Sequence[Alarm], channel: str, now: datetime, repeat_days: float) -> list[Alarm]:
        """What is to be told by ``channel``: news, what goes on for ``repeat_days`` since it was told, what is owed."""
        found = {key: row.owed[channel] for key, row in self.keys.items() if channel in row.owed}
        for alarm in alarms:
            row = self.keys[alarm.key]
            told = row.sent.get(channel)
            if told is None:
                found[alarm.key] = alarm
            elif now - told >= timedelta(days=repeat_days) or told - now > _CLOCKS_DIFFER:
                words = f"{alarm.words}\nIt goes on: first told on {row.since:%Y-%m-%d}."
                found[alarm.key] = replace(alarm, words=words)
        return list(found.values())

    def told(self, alarms: Sequence[Alarm], channel: str, now: datetime) -> None:
        """Write down that ``channel`` has told ``alarms``."""
        for alarm in alarms:
            row = self.keys[alarm.key]
            row.owed.pop(channel, None)
            row.sent[channel] = now
        self.keep()

    def failed(self, alarms: Sequence[Alarm], channel: str) -> None:
        """Write down that ``channel`` could not tell ``alarms``, which it will have to."""
        for alarm in alarms:
            self.keys[alarm.key].owed[channel] = alarm
        self.keep()

    def last(self, key: str, channel: str) -> str:
        """When ``channel`` told of ``key``, in words."""
        return f"told on {self.keys[key].sent[channel]:%Y-%m-%d}"

    def keep(self) -> None:
        """Write everything down."""
        content = {"version": 1, "keys": {key: _plain(row) for key, row in sorted(self.keys.items())}}
        write_bytes(self.path, json.dumps(content, indent=1).encode(), mode=0o600)


def owed(path: Path) -> dict[str, int]:
    """Channel -> how many alarms it still has to tell, by the record at ``path``; one that cannot be read owes none."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["keys"].values()
        return dict(Counter(channel for row in rows for channel in row["owed"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _plain(row: Ongoing) -> dict[str, Any]:
    return {
        "model": row.model,
        "since": row.since.isoformat(),
        "ended": row.ended and row.ended.isoformat(),
        "sent": {channel: at.isoformat() for channel, at in row.sent.items()},
        "owed": {channel: alarm.to_dict() for channel, alarm in row.owed.items()},
    }


def _parsed(plain: Mapping[str, Any]) -> Ongoing:
    return Ongoing(
        model=str(plain["model"]),
        since=datetime.fromisoformat(plain["since"]),
        ended=datetime.fromisoformat(plain["ended"]) if plain["ended"] else None,
        sent={channel: datetime.fromisoformat(at) for channel, at in plain["sent"].items()},
        owed={channel: Alarm.from_dict(alarm) for channel, alarm in plain["owed"].items()},
    )
