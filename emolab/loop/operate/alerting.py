"""Telling a workspace's people of alarms, by the channels of its ``[alerts]``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import ConfigError

if TYPE_CHECKING:
    from emolab.monitoring.alerts.alarm import Alarm
    from emolab.monitoring.alerts.send import Delivery
    from emolab.workspace import Workspace

#: What to write where nobody would be told.
NO_CHANNEL_HINT = (
    'Set [alerts] in emolab.toml: webhook = "https://...", or email_to, email_from and smtp, or file = "alarms.jsonl".'
)


def record_file(workspace: Workspace) -> Path:
    """Who was told of which alarm."""
    return workspace.state / "monitor" / "alerts.json"


def tell_alarms(
    workspace: Workspace, model: str, alarms: Sequence[Alarm], *, now: datetime | None = None
) -> list[Delivery]:
    """Tell of what the newest look at ``model`` (its whole id) raises; empty: it is quiet.

    An empty answer means that ``[alerts]`` names no channel. A channel that fails is a :class:`Delivery` that says so,
    and is tried again by the next call.
    """
    from emolab.monitoring.alerts.send import send

    return send(
        alarms,
        model=model,
        settings=workspace.config.alerts,
        folder=workspace.root,
        state=record_file(workspace),
        now=now or datetime.now(UTC),
        project=workspace.config.project.name,
    )


def try_alerts(workspace: Workspace, *, now: datetime | None = None) -> list[Delivery]:
    """Send a made-up alarm by every channel: one :class:`Delivery` each.

    Raises :class:`ConfigError` where ``[alerts]`` names no channel.
    """
    from emolab.monitoring.alerts.send import send_test

    found = send_test(
        settings=workspace.config.alerts,
        folder=workspace.root,
        now=now or datetime.now(UTC),
        project=workspace.config.project.name,
    )
    if not found:
        raise ConfigError("Nobody would be told of an alarm.", hint=NO_CHANNEL_HINT)
    return found
