"""`emolab monitor --test-alert`: whether alarms would reach people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.monitoring.alerts.send import Delivery
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class TriedChannels(Result):
    """What became of a made-up alarm at each channel."""

    told: tuple[Delivery, ...]


def try_channels(workspace: Workspace) -> TriedChannels:
    """Send a made-up alarm by every channel of ``[alerts]``; one that fails says why.

    Raises :class:`ConfigError` where there is no channel.
    """
    from emolab.loop.operate.alerting import try_alerts

    return TriedChannels(told=tuple(try_alerts(workspace)))
